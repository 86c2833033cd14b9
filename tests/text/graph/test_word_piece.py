"""The tokenizer inside the graph gives the ids of the one outside."""

from __future__ import annotations

import random
import string
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import AddedToken, normalizers

import tfft.text.graph.word_piece as module
from tests.fixtures.bert import VOCABULARY
from tfft.core.errors import DataError
from tfft.models.tokenizer_files import word_piece
from tfft.text.conventions import Conventions
from tfft.text.graph.word_piece import WordPieceTokenizer, character_table

SETTINGS = {
    "uncased": {"lowercase": True},
    "cased": {"lowercase": False},
    "accents kept": {"lowercase": True, "strip_accents": False},
    "chinese kept": {"lowercase": True, "split_chinese": False},
}
MAX_LENGTH = 64
# Each character below U+3100 (all alphabets, signs, kana), and every 7th above.
CODES = [
    code
    for code in [*range(0x3100), *range(0x3100, 0x110000, 7)]
    if not 0xD800 <= code < 0xE000
]


def every_piece():
    """Makes each assigned character a piece, so that none hides behind [UNK]."""
    assigned = [chr(c) for c in CODES if unicodedata.category(chr(c))[0] != "C"]
    forms = {
        part
        for character in assigned
        for form in (character, character.lower())
        for part in unicodedata.normalize("NFD", form) + form
    }
    return [*VOCABULARY, *sorted({f"{p}{form}" for form in forms for p in ("", "##")})]


@pytest.fixture(scope="module", params=SETTINGS)
def both(request):
    vocabulary = dict.fromkeys(every_piece())
    tokenizer = word_piece(list(vocabulary), **SETTINGS[request.param])
    return tokenizer, WordPieceTokenizer(tokenizer, MAX_LENGTH)


@pytest.fixture(scope="module")
def table():
    return character_table(word_piece(VOCABULARY))


@pytest.fixture
def graph_of(table, monkeypatch):
    """Makes graphs by the one table, which takes seconds and depends on no word."""
    monkeypatch.setattr(module, "character_table", lambda tokenizer: table)
    return WordPieceTokenizer


def in_graph(graph, *columns):
    batch = graph(*(tf.constant(column, tf.string) for column in columns))
    arrays = {name: value.numpy() for name, value in batch.items()}
    real = arrays["padding_mask"].sum(-1)
    length = arrays["padding_mask"].shape[1]
    assert {array.shape for array in arrays.values()} == {(len(real), length)}
    assert {array.dtype for array in arrays.values()} == {np.dtype("int32")}
    np.testing.assert_array_equal(
        arrays["padding_mask"], np.arange(length) < real[:, None]
    )
    assert length == real.max()
    return [
        (ids[:count].tolist(), segments[:count].tolist())
        for ids, segments, count in zip(
            arrays["token_ids"], arrays["segment_ids"], real, strict=True
        )
    ]


def assert_same(tokenizer, graph, texts, pairs=None, max_length=MAX_LENGTH):
    columns = [texts] if pairs is None else [texts, pairs]
    found = in_graph(graph, *columns)
    expected = tokenizer.encode(texts, pairs, max_length)
    assert len(found) == len(expected)
    different = [
        (*text, ours, theirs[:2])
        for *text, ours, theirs in zip(*columns, found, expected, strict=True)
        if ours != theirs[:2]
    ]
    assert different == []


def test_every_character(both):
    assert_same(*both, [f"x{chr(code)}y" for code in CODES])


def test_every_character_after_a_blank(both):
    assert_same(*both, [f"n {chr(code)}" for code in CODES if code < 0x3100])


@pytest.mark.parametrize("seed", range(3))
def test_random_strings(both, seed):
    generator = random.Random(seed)
    odd = "ßéÉıİσΣς中文가ʼn.'-¿ \t\n\u00a0\u200b\u0301\u0327\u1e69\ufffd\0\x07[]#🙂"
    letters = string.ascii_letters + string.digits + odd
    texts = [
        "".join(generator.choices(letters, k=generator.randrange(60)))
        for _ in range(1000)
    ]
    assert_same(*both, texts)
    any_characters = [
        "".join(chr(generator.choice(CODES)) for _ in range(generator.randrange(20)))
        for _ in range(1000)
    ]
    assert_same(*both, any_characters)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("max_length", [4, 5, 8, 9, 20])
def test_pairs_are_cut_alike(graph_of, max_length, side):
    tokenizer = word_piece(VOCABULARY)
    tokenizer.conventions = Conventions(truncation_side=side)
    graph = graph_of(tokenizer, max_length)
    lengths = [(i, j) for i in range(13) for j in range(13)]
    firsts, seconds = ["good " * i for i, _ in lengths], ["b " * j for _, j in lengths]
    firsts = [f"a {text}" for text in firsts]
    assert_same(tokenizer, graph, firsts, seconds, max_length)
    assert_same(tokenizer, graph, firsts, None, max_length)


@pytest.mark.parametrize(("max_length", "tail_tokens"), [(8, 1), (8, 4), (21, 5)])
def test_tails_are_kept_alike(graph_of, max_length, tail_tokens):
    tokenizer = word_piece(VOCABULARY)
    graph = graph_of(tokenizer, max_length)
    texts = ["a b good ! " * i + "bad ? " * (i % 3) for i in range(13)]
    expected = tokenizer.encode(texts, None, max_length, tail_tokens)
    batch = graph(tf.constant(texts), tail_tokens=tail_tokens)
    found = [
        row[: len(one.token_ids)].tolist()
        for row, one in zip(batch["token_ids"].numpy(), expected, strict=True)
    ]
    assert found == [one.token_ids for one in expected]
    assert batch["padding_mask"].numpy().sum(-1).tolist() == list(map(len, found))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "a" * 100,
        "a" * 101,
        "é" * 100,
        "é" * 101,
        "good " * 2000,
        "ab" * 5000,
        "中" * 10_000,
        "[SEP] [CLS] [PAD] ##a",
        "good[UNK]bad",
    ],
    ids=lambda text: f"{text[:12]}... of {len(text)}",
)
def test_texts_at_the_edges(both, text):
    assert_same(*both, [text, "a"])
    assert_same(*both, [text, "a"], ["b", text])


@pytest.mark.parametrize(
    "content",
    [b"a\xff\xfeb", b"\xc3", b"a\xed\xa0\x80b", b"\xf5\x80\x80\x80 good", b"\xc0\xaf"],
)
def test_bytes_that_are_no_utf8_are_replaced(both, content):
    tokenizer, graph = both
    [found] = in_graph(graph, [content])
    [expected] = tokenizer.encode([content.decode("utf-8", "replace")], None, 64)
    assert found == expected[:2]


def test_an_id_without_a_token_moves_no_other(graph_of):
    vocabulary = list(VOCABULARY)
    vocabulary[10] = "b"  # f is gone and b is there twice: the last counts
    tokenizer = word_piece(vocabulary)
    assert_same(tokenizer, graph_of(tokenizer, MAX_LENGTH), ["abc xyz", "f b good!"])


def test_an_added_special_token_is_no_word(graph_of):
    tokenizer = word_piece(VOCABULARY)
    tokenizer.library.add_special_tokens(["hello"])
    assert_same(tokenizer, graph_of(tokenizer, MAX_LENGTH), ["hello", "a hello"])


def test_inside_a_function_of_any_batch_size(graph_of):
    tokenizer = word_piece(VOCABULARY)
    graph = graph_of(tokenizer, MAX_LENGTH)
    traced = tf.function(graph, input_signature=[tf.TensorSpec([None], tf.string)])
    for texts in (["a"], ["good bad", "", "x!"]):
        assert_same(tokenizer, traced, texts)


@pytest.mark.parametrize("change", ["normalizer", "added word"])
def test_a_tokenizer_without_an_exact_form_is_refused(change):
    tokenizer = word_piece(VOCABULARY)
    if change == "normalizer":
        tokenizer.library.normalizer = normalizers.NFKC()
    else:
        tokenizer.library.add_tokens([AddedToken("added", special=False)])
    with pytest.raises(DataError, match="tokenizer"):
        character_table(tokenizer)
