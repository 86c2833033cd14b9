"""The tokenizer obeys the model's files and never the text."""

from __future__ import annotations

import json

import pytest
from tokenizers import AddedToken

from tests.fixtures.bert import VOCABULARY
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.models.hub_tokenizers import from_keras_hub
from tfft.models.tokenizer_files import load_tokenizer, read_tokenizer, word_piece
from tfft.text.tokenizer import Tokenizer

TEXTS = ["Good bad!", "", "ünïcode ab", "[SEP] a [MASK]", "中文 q", "a" * 200, "\0\t a"]


def ids(*tokens):
    return [VOCABULARY.index(token) for token in tokens]


@pytest.fixture(scope="module")
def tokenizer():
    return word_piece(VOCABULARY)


def test_ids_are_those_of_the_longest_pieces(tokenizer):
    [encoding] = tokenizer.encode(["Good GOODBAD é?"], None, 32)
    bad = [f"##{letter}" for letter in "bad"]
    expected = ids("[CLS]", "good", "good", *bad, "e", "[UNK]", "[SEP]")
    assert encoding == (expected, [0] * len(expected), False)


def test_a_pair_has_two_segments(tokenizer):
    [encoding] = tokenizer.encode(["a!"], ["bad"], 32)
    assert encoding.token_ids == ids("[CLS]", "a", "!", "[SEP]", "bad", "[SEP]")
    assert encoding.segment_ids == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("pairs", [None, TEXTS[::-1]])
def test_tokenizer_json_gives_the_ids_of_vocab_txt(tmp_path, pairs):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    from_words = read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text(from_words.to_json())
    (tmp_path / "vocab.txt").unlink()
    from_json = read_tokenizer(str(tmp_path))
    assert from_json.encode(TEXTS, pairs, 64) == from_words.encode(TEXTS, pairs, 64)
    assert from_json.vocabulary_size == from_words.vocabulary_size == len(VOCABULARY)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_vocab_txt_is_no_token(tmp_path, end):
    newline = "\r\n" if end == "\r\n" else "\n"
    (tmp_path / "vocab.txt").write_bytes((newline.join(VOCABULARY) + end).encode())
    assert read_tokenizer(tmp_path).vocabulary_size == len(VOCABULARY)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ("a", "e")),
        ({"do_lower_case": False}, ("[UNK]", "[UNK]")),
        ({"strip_accents": False}, ("a", "[UNK]")),
        ({"do_lower_case": False, "strip_accents": True}, ("[UNK]", "e")),
    ],
)
def test_tokenizer_config_is_followed(tmp_path, config, expected):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    [encoding] = read_tokenizer(tmp_path).encode(["A é"], None, 8)
    assert encoding.token_ids == ids("[CLS]", *expected, "[SEP]")


def test_chinese_characters_may_stay_together(tmp_path):
    vocabulary = [*VOCABULARY, "中", "中文"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    apart = read_tokenizer(tmp_path).encode(["中文"], None, 8)[0]
    (tmp_path / "tokenizer_config.json").write_text('{"tokenize_chinese_chars": false}')
    together = read_tokenizer(tmp_path).encode(["中文"], None, 8)[0]
    assert apart.token_ids == [2, len(VOCABULARY), 1, 3]
    assert together.token_ids == [2, len(VOCABULARY) + 1, 3]


@pytest.mark.parametrize("token", ["[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]"])
def test_a_special_token_in_the_text_is_text(tokenizer, token):
    [encoding] = tokenizer.encode([f"a {token} b"], None, 32)
    first, *middle, last = encoding.token_ids
    assert (first, last) == tuple(ids("[CLS]", "[SEP]"))
    assert middle[0] == ids("a")[0]
    assert not set(middle) & set(ids("[SEP]", "[CLS]", "[PAD]", "[MASK]"))


def test_a_special_token_of_a_file_is_text_too(tmp_path, tokenizer):
    # Hugging Face writes its files with the opposite setting.
    content = json.loads(tokenizer.to_json())
    for token in content["added_tokens"]:
        assert token["special"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    [encoding] = load_tokenizer(tmp_path / "tokenizer.json").encode(["[SEP]"], None, 9)
    assert encoding.token_ids.count(VOCABULARY.index("[SEP]")) == 1


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    # 10 tokens, 3 of them special, leave 7 for both.
    [(3, 4, (3, 4)), (9, 2, (5, 2)), (2, 9, (2, 5)), (9, 9, (3, 4)), (9, 0, (7, 0))],
)
def test_the_longer_text_of_a_pair_is_cut_first(tokenizer, first, second, kept):
    [encoding] = tokenizer.encode(["a " * first], ["b " * second], 10)
    assert encoding.token_ids.count(ids("a")[0]) == kept[0]
    assert encoding.token_ids.count(ids("b")[0]) == kept[1]
    assert encoding.token_ids.count(ids("[SEP]")[0]) == 2
    assert encoding.truncated is (first + second > 7)


@pytest.mark.parametrize(("words", "truncated"), [(6, False), (7, True), (1000, True)])
def test_a_text_is_cut_at_the_end(tokenizer, words, truncated):
    [encoding] = tokenizer.encode(["a " * (words - 1) + "b"], None, 8)
    last = "a" if truncated else "b"
    assert encoding.token_ids == ids("[CLS]", *"aaaaa", last, "[SEP]")
    assert encoding.truncated is truncated


@pytest.mark.parametrize(
    ("text", "tail", "kept"),
    # 8 tokens, 2 of them special, leave 6.
    [("abbbaa", 2, "abbbaa"), ("aaaabbba", 2, "aaaaba"), ("baaaaaab", 1, "baaaab"),
     ("aaaaaaabbb", 3, "aaabbb"), ("b" + "a" * 99 + "b" * 4, 4, "babbbb")],
)  # fmt: skip
def test_a_text_that_is_cut_keeps_its_tail(tokenizer, text, tail, kept):
    [encoding] = tokenizer.encode([" ".join(text)], None, 8, tail)
    assert encoding.token_ids == ids("[CLS]", *kept, "[SEP]")
    assert encoding.segment_ids == [0] * 8
    assert encoding.truncated is (len(text) > 6)


def test_nothing_is_padded_even_if_the_file_says_so(tmp_path, tokenizer):
    content = json.loads(tokenizer.to_json())
    content["padding"] = {
        "strategy": {"Fixed": 12},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    content["truncation"] = {
        "direction": "Right",
        "max_length": 4,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    found = load_tokenizer(tmp_path / "tokenizer.json").encode(["a", "a b c"], None, 9)
    assert [len(one.token_ids) for one in found] == [3, 5]


def test_halves_of_characters_are_replaced(tokenizer):
    broken, replaced = tokenizer.encode(["a \ud800b\udfff", "a �b�"], None, 16)
    assert broken == replaced


def test_columns_of_unequal_length_are_an_error(tokenizer):
    with pytest.raises(ValueError, match="shorter"):
        tokenizer.encode(["a", "b"], ["c"], 8)


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(MissingInputError) as caught:
        read_tokenizer(tmp_path)
    expected = "tokenizer.json, vocab.txt, or vocab.json and merges.txt"
    assert caught.value.expected == expected


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("tokenizer.json", b"{", "not a usable tokenizer"),
        ("tokenizer.json", b"[]", "not a usable tokenizer"),
        ("vocab.txt", b"[PAD]\n\xff\n", "byte 6 is not UTF-8"),
        ("vocab.txt", b"", "the vocabulary has no token [UNK]"),
        ("vocab.txt", b"[UNK]\n[CLS]\na\n", "the vocabulary has no token [SEP]"),
    ],
)
def test_files_that_are_no_tokenizer(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tokenizer(tmp_path)
    assert caught.value.what.startswith(what)


def test_only_word_piece_comes_from_keras_hub(tokenizer):
    assert from_keras_hub(tokenizer) is tokenizer
    with pytest.raises(ConfigError, match="tokenizer of type int"):
        from_keras_hub(3)


def test_added_words_count_as_ids():
    tokenizer = word_piece(VOCABULARY)
    tokenizer.library.add_tokens([AddedToken("added", special=False)])
    assert Tokenizer(tokenizer.library).vocabulary_size == len(VOCABULARY) + 1
