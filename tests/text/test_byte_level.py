"""Byte-level tokenizers give the ids that transformers gives."""

from __future__ import annotations

import json
import shutil

import keras_hub
import pytest

from tests.goldens import ROOT
from tfft.core.errors import DataError
from tfft.models.hub_tokenizers import from_keras_hub
from tfft.models.tokenizer_files import read_tokenizer
from tfft.text.byte_level import byte_level
from tfft.text.tokenizer import Tokenizer

FILES = {
    "json": ("tokenizer.json", "tokenizer_config.json"),
    "merges": ("vocab.json", "merges.txt", "tokenizer_config.json"),
}


def reference(name):
    return json.loads((ROOT / name / "reference.json").read_text(encoding="utf-8"))


def ids(tokenizer, texts, pairs=None):
    return [one.token_ids for one in tokenizer.encode(texts, pairs, 512)]


@pytest.fixture(params=FILES)
def files(request):
    return FILES[request.param]


@pytest.mark.parametrize("name", ["gpt2-tokenizer", "roberta-tokenizer"])
def test_ids_and_roles_are_those_of_transformers(tmp_path, name, files):
    for file in files:
        shutil.copy(ROOT / name / file, tmp_path / file)
    tokenizer, expected = read_tokenizer(tmp_path), reference(name)
    texts = expected["texts"]
    assert ids(tokenizer, texts) == expected["ids"]
    assert ids(tokenizer, texts, [texts[0]] * len(texts)) == expected["pairs"]
    assert tokenizer.bos_id == expected["roles"]["bos"]
    assert tokenizer.eos_id == expected["roles"]["eos"]
    # GPT-2 has no padding token: the mask hides what stands there.
    assert tokenizer.pad_id == (expected["pad"] or expected["roles"]["eos"])


def test_text_that_spells_the_end_is_text():
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    [found] = ids(tokenizer, ["<|endoftext|>"])
    assert tokenizer.eos_id not in found
    assert tokenizer.library.decode(found) == "<|endoftext|>"


def test_a_saved_tokenizer_keeps_ids_and_roles(tmp_path):
    tokenizer = read_tokenizer(ROOT / "roberta-tokenizer")
    tokenizer.roles["pad"] = "<mask>"
    tokenizer.save(tmp_path)
    again = read_tokenizer(tmp_path)
    assert again.roles == tokenizer.roles
    assert again.pad_id == tokenizer.library.token_to_id("<mask>")
    texts = reference("roberta-tokenizer")["texts"]
    assert ids(again, texts) == ids(tokenizer, texts)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "<|endoftext|>"),
        ({"config.json": {"eos_token_id": 41}}, "I"),
        ({"config.json": {"eos_token_id": [41, 42]}}, "I"),
        ({"config.json": {"eos_token_id": -1}}, "<|endoftext|>"),
        ({"config.json": {"eos_token_id": 2**40}}, "<|endoftext|>"),
        (
            {
                "config.json": {"eos_token_id": 41},
                "special_tokens_map.json": {"eos_token": {"content": "B"}},
            },
            "B",
        ),
        (
            {
                "special_tokens_map.json": {"eos_token": {"content": "B"}},
                "tokenizer_config.json": {"eos_token": "C"},
            },
            "B",
        ),
        # transformers adds it.
        ({"tokenizer_config.json": {"eos_token": "no such token"}}, "no such token"),
        ({"tokenizer_config.json": {"eos_token": None}}, None),
    ],
)
def test_the_files_that_say_most_about_roles_count_first(tmp_path, files, expected):
    shutil.copy(ROOT / "gpt2-tokenizer" / "tokenizer.json", tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    tokenizer = read_tokenizer(tmp_path)
    index = tokenizer.eos_id
    found = None if index is None else tokenizer.library.id_to_token(index)
    assert found == expected


def test_a_tokenizer_of_keras_hub():
    folder = ROOT / "gpt2-tokenizer"
    hub = keras_hub.tokenizers.GPT2Tokenizer(**hub_options(folder))
    texts = reference("gpt2-tokenizer")["texts"]
    tokenizer = from_keras_hub(hub)
    assert ids(tokenizer, texts) == ids(read_tokenizer(folder), texts)
    assert tokenizer.eos_id == hub.vocabulary["<|endoftext|>"]


def test_a_roberta_tokenizer_of_keras_hub():
    folder = ROOT / "roberta-tokenizer"
    hub = keras_hub.tokenizers.RobertaTokenizer(**hub_options(folder))
    expected = reference("roberta-tokenizer")
    texts, tokenizer = expected["texts"], from_keras_hub(hub)
    assert ids(tokenizer, texts) == expected["ids"]
    assert ids(tokenizer, texts, [texts[0]] * len(texts)) == expected["pairs"]
    assert tokenizer.pad_id == expected["pad"]


def hub_options(folder):
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    return {"vocabulary": vocabulary, "merges": lines}


def test_a_prefix_space_is_asked_for():
    vocabulary = {"<|endoftext|>": 0, "a": 1, "Ġ": 2, "Ġa": 3}
    plain = Tokenizer(byte_level(vocabulary, [("Ġ", "a")]))
    spaced = Tokenizer(byte_level(vocabulary, [("Ġ", "a")], prefix_space=True))
    assert ids(plain, ["a a"]) == [[1, 3]]
    assert ids(spaced, ["a a"]) == [[3, 3]]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("vocab.json", "[]", "vocabulary is not usable: holds a list"),
        ("vocab.json", '{"a": "b"}', "vocabulary is not usable: the id of 'a' is 'b'"),
        ("vocab.json", '{"a": true}', "vocabulary is not usable: the id of 'a'"),
        ("vocab.json", '{"a": -1}', "vocabulary is not usable: the id of 'a' is -1"),
        ("vocab.json", "{}", "vocabulary is not usable: holds no token"),
        ("vocab.json", "[" * 100_000, "vocabulary is not usable"),
        ("merges.txt", "a b c", "line 1 is 'a b c'"),
        ("merges.txt", "no such", "vocabulary and merges do not fit"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, what):
    for file in FILES["merges"]:
        shutil.copy(ROOT / "gpt2-tokenizer" / file, tmp_path / file)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_tokenizer(tmp_path)
    assert caught.value.what.startswith(what)
