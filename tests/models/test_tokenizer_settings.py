"""The files beside a vocabulary count as they do in transformers."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from tests.fixtures.bert import VOCABULARY, bert_config, write_bert
from tests.goldens import ROOT
from tfft.core.errors import DataError, MissingInputError
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import read_tokenizer, word_piece
from tfft.runs.stored_model import with_own_tokenizer

GPT2 = ROOT / "gpt2-tokenizer"
TEMPLATE = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
TURN = [{"role": "user", "content": "hi"}]


def write(folder, **files):
    """Writes JSON files; a name without a suffix is one of `.json`."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def with_words(folder, **files):
    """Writes a folder with the tests' vocabulary."""
    write(folder, **files)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


def ids(tokenizer, text):
    return tokenizer.encode([text], None, 99)[0].token_ids


def text_of(template):
    [rendered] = template.render([TURN], answered=False)
    return "".join(text for text, _ in rendered.segments)


@pytest.mark.parametrize(
    ("options", "kept"),
    # Eight tokens, two of them special.
    [({}, "aaaabb"), ({"truncation_side": "left"}, "aabbbb")],
)
def test_the_side_that_is_cut_is_the_models(tmp_path, options, kept):
    tokenizer = read_tokenizer(with_words(tmp_path, tokenizer_config=options))
    expected = [VOCABULARY.index(letter) for letter in kept]
    [encoding] = tokenizer.encode(["a a a a b b b b"], None, 8)
    assert encoding.token_ids[1:-1] == expected
    assert encoding.truncated


def test_a_tail_that_is_asked_for_counts_before_the_models_side(tmp_path):
    options = {"truncation_side": "left"}
    tokenizer = read_tokenizer(with_words(tmp_path, tokenizer_config=options))
    [encoding] = tokenizer.encode(["a a a a b b b b"], None, 8, tail_tokens=1)
    assert encoding.token_ids[1:-1] == [VOCABULARY.index(one) for one in "aaaabb"]


@pytest.mark.parametrize(
    ("value", "limit"), [(6, 6), (1000, 16), (1e30, 16), (None, 16), (16.0, 16)]
)
def test_texts_are_at_most_as_long_as_the_tokenizer_says(tmp_path, value, limit):
    config = bert_config(max_position_embeddings=16)
    from tests.fixtures.bert import bert_tensors

    tensors = bert_tensors()
    name = "embeddings.position_embeddings.weight"
    tensors[name] = tensors[name][:16]
    folder = write_bert(tmp_path, config, tensors)
    write(folder, tokenizer_config={"model_max_length": value})
    assert load_pretrained(folder).max_length == limit


def test_what_is_said_of_batches_is_kept(tmp_path):
    options = {
        "truncation_side": "left",
        "padding_side": "left",
        "model_max_length": 77,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    tokenizer = read_tokenizer(with_words(tmp_path / "a", tokenizer_config=options))
    (tmp_path / "b").mkdir()
    tokenizer.save(tmp_path / "b")
    saved = json.loads((tmp_path / "b" / "tokenizer_config.json").read_text())
    assert saved.items() >= options.items()
    assert read_tokenizer(tmp_path / "b").conventions == tokenizer.conventions


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"do_lower_case": "false"}, "do_lower_case='false'"),
        ({"truncation_side": "middle"}, "truncation_side='middle'"),
        ({"padding_side": None}, "padding_side=None"),
        ({"model_max_length": True}, "model_max_length=True"),
        ({"model_max_length": 0}, "model_max_length=0"),
        ({"tokenizer_class": 3}, "tokenizer_class=3"),
        ({"added_tokens_decoder": {"x": "[E1]"}}, "added_tokens_decoder={'x'"),
        ({"added_tokens_decoder": {"30": 3}}, "token 3"),
        ({"extra_special_tokens": "x"}, "extra_special_tokens='x'"),
        ({"extra_special_tokens": [3]}, "token 3"),
        ({"cls_token": {"text": "[CLS]"}}, "token {'text'"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, options, what):
    with pytest.raises(DataError) as caught:
        read_tokenizer(with_words(tmp_path, tokenizer_config=options))
    assert caught.value.what.startswith(what)
    assert caught.value.where == "tokenizer_config.json"


@pytest.mark.parametrize("index", [True, "5", -1, None])
def test_ids_of_added_tokens_are_numbers(tmp_path, index):
    with pytest.raises(DataError, match=r"the id of '\[E1\]' is"):
        read_tokenizer(with_words(tmp_path, added_tokens={"[E1]": index}))


@pytest.mark.parametrize(
    "files",
    [
        {"special_tokens_map": {"bos_token": "a", "eos_token": {"content": "b"}}},
        {"tokenizer_config": {"bos_token": "a", "eos_token": {"content": "b"}}},
    ],
)
def test_a_template_sees_the_tokens_of_every_file(tmp_path, files):
    options = {**files.get("tokenizer_config", {}), "chat_template": TEMPLATE}
    files = {**files, "tokenizer_config": options}
    tokenizer = read_tokenizer(with_words(tmp_path / "a", **files))
    assert text_of(tokenizer.chat_template) == "ahib"
    (tmp_path / "b").mkdir()
    tokenizer.save(tmp_path / "b")
    assert text_of(read_tokenizer(tmp_path / "b").chat_template) == "ahib"


def test_a_template_sees_no_token_that_was_only_assumed(tmp_path):
    # transformers has no bos here, and prints nothing; the saved one as well.
    folder = tmp_path / "a"
    shutil.copytree(GPT2, folder)
    options = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE}
    write(folder, tokenizer_config=options, config={"eos_token_id": 34})
    tokenizer = read_tokenizer(folder)
    assert text_of(tokenizer.chat_template) == "hi"
    (tmp_path / "b").mkdir()
    tokenizer.save(tmp_path / "b")
    again = read_tokenizer(tmp_path / "b")
    assert text_of(again.chat_template) == "hi"
    assert again.roles == tokenizer.roles
    assert again.eos_id == tokenizer.eos_id == 34


def test_a_config_with_eight_thousand_added_tokens(tmp_path):
    token = {"lstrip": False, "normalized": True, "rstrip": False, "special": False}
    added = {
        str(len(VOCABULARY) + index): {"content": f"<word_{index:05}>", **token}
        | {"single_word": False, "comment": "x" * 60}
        for index in range(8000)
    }
    folder = with_words(tmp_path, tokenizer_config={"added_tokens_decoder": added})
    assert (folder / "tokenizer_config.json").stat().st_size > 1_500_000
    tokenizer = read_tokenizer(folder)
    assert tokenizer.vocabulary_size == len(VOCABULARY) + 8000
    found = ids(tokenizer, "a <word_07999>b")
    a, b = VOCABULARY.index("a"), VOCABULARY.index("b")
    assert found[1:-1] == [a, len(VOCABULARY) + 7999, b]


def test_a_padding_token_without_an_embedding_is_left_aside(tmp_path):
    folder = write_bert(tmp_path)
    write(folder, added_tokens={"<filler>": len(VOCABULARY)})
    write(folder, special_tokens_map={"pad_token": "<filler>"})
    loaded = load_pretrained(folder)
    assert loaded.tokenizer.pad_id == 0
    assert any("embedding" in note and "<filler>" in note for note in loaded.notes)
    write(folder, added_tokens={"word": len(VOCABULARY)})
    (folder / "special_tokens_map.json").unlink()
    with pytest.raises(DataError, match="the tokenizer has"):
        load_pretrained(folder)


def test_tokens_that_only_tokenizer_json_adds_are_said_to_be_lost(tmp_path):
    tokenizer = word_piece(VOCABULARY)
    tokenizer.library.add_tokens(["newword"])
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json())
    options = {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {}}
    [note] = read_tokenizer(write(tmp_path, tokenizer_config=options)).notes
    assert note.startswith("1 added tokens of tokenizer.json")
    options.pop("added_tokens_decoder")
    again = read_tokenizer(write(tmp_path, tokenizer_config=options))
    assert again.notes == ()
    assert ids(again, "newword") == [2, len(VOCABULARY), 3]


@pytest.mark.parametrize(
    ("option", "value"),
    [("add_bos_token", True), ("add_eos_token", True), ("add_prefix_space", True),
     ("do_lower_case", True)],
)  # fmt: skip
def test_options_that_tokenizer_json_overrules_are_said(tmp_path, option, value):
    shutil.copy(GPT2 / "tokenizer.json", tmp_path)
    options = {"tokenizer_class": "PreTrainedTokenizerFast", option: value}
    options |= {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    [note] = read_tokenizer(write(tmp_path, tokenizer_config=options)).notes
    assert note.startswith(f"{option}=true in tokenizer_config.json has no effect")
    options[option] = False
    assert read_tokenizer(write(tmp_path, tokenizer_config=options)).notes == ()


def test_a_class_that_tfft_does_not_know(tmp_path):
    options = {"tokenizer_class": "BertJapaneseTokenizer"}
    folder = with_words(tmp_path, tokenizer_config=options)
    with pytest.raises(DataError, match="BertJapaneseTokenizer reads files"):
        read_tokenizer(folder)
    (folder / "tokenizer.json").write_text(word_piece(VOCABULARY).to_json())
    [note] = read_tokenizer(folder).notes
    assert "BertJapaneseTokenizer of transformers may add rules" in note


def test_pieces_alone_are_named(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a")
    with pytest.raises(MissingInputError, match=r"convert tokenizer\.model"):
        read_tokenizer(tmp_path)


def test_a_loaded_run_has_the_tokenizer_it_was_trained_with(tmp_path):
    base, run = write_bert(tmp_path / "base"), tmp_path / "run"
    trained = load_pretrained(base)
    run.mkdir()
    trained.tokenizer.save(run)
    write(base, tokenizer_config={"do_lower_case": False})
    now = load_pretrained(base)
    assert ids(now.tokenizer, "A") != ids(trained.tokenizer, "A")
    own = with_own_tokenizer(run, now)
    assert ids(own.tokenizer, "A") == ids(trained.tokenizer, "A")
    assert dataclasses.replace(own, tokenizer=now.tokenizer) == now
    assert with_own_tokenizer(base, now) is now


def test_a_word_that_ends_texts_stays_a_word_in_a_saved_tokenizer(tmp_path):
    # transformers takes every token of a role out of the texts, also inside words.
    tokenizer = word_piece([*VOCABULARY, "end", "ending"])
    tokenizer.roles["eos"] = "end"
    tokenizer.save(tmp_path)
    again = read_tokenizer(tmp_path)
    assert again.to_json() == tokenizer.to_json()
    assert again.eos_id == len(VOCABULARY)
    options = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "end"}
    other = read_tokenizer(write(tmp_path, tokenizer_config=options))
    assert [one.content for one in other.library.get_added_tokens_decoder().values()][
        -1
    ] == "end"
