"""Byte-level tokenizers inside the graph do what `tokenizers` does outside."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import AddedToken, Regex, decoders, models, normalizers, trainers
from tokenizers import Tokenizer as Library
from tokenizers import pre_tokenizers as pre

from tests.goldens import ROOT
from tfft.core.errors import DataError
from tfft.models.tokenizer_files import read_tokenizer
from tfft.text.byte_level import byte_level
from tfft.text.graph.byte_level import ByteLevelTokenizer, bytes_of
from tfft.text.graph.byte_pairs import BytePairs
from tfft.text.graph.detokenizer import Detokenizer
from tfft.text.graph.in_graph import graph_tokenizer
from tfft.text.graph.splitter import Splitter
from tfft.text.tokenizer import Tokenizer

LATER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def later(numbers):
    return pre.Sequence(
        [
            pre.Split(Regex(LATER % numbers), "isolated"),
            pre.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def after_digits(individual):
    return pre.Sequence([pre.Digits(individual), pre.ByteLevel(add_prefix_space=False)])


FAMILIES = {
    "gpt2": pre.ByteLevel(add_prefix_space=False),
    "prefix": pre.ByteLevel(add_prefix_space=True),
    "smollm2": after_digits(True),
    "digits": after_digits(False),
    "qwen2": later(r"\p{N}"),
    "llama3": later(r"\p{N}{1,3}"),
}
# What the expressions look at: contractions, signs, white space, line ends, digits.
PARTS = [
    *"'''  \n\r\t!.?1²٣aésStTmdrevlLſ中\u00a0\u3000\u2028\u0301🙂\ufffd\x00\u200b",
    "'s", "'LL", "'re", "  ", "\n\n", "\r\n", "the", " of", "1234", "\ufeff", "İ", "ß",
]  # fmt: skip


def hard_strings(count, seed=0, length=40):
    generator = random.Random(seed)
    return [
        "".join(generator.choices(PARTS, k=generator.randrange(length)))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def trained():
    """A vocabulary with merges, learned from strings of the same parts."""
    library = Library(models.BPE())
    library.pre_tokenizer = FAMILIES["gpt2"]
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(hard_strings(500, seed=1), trainer)
    return json.loads(library.to_str())["model"]


@pytest.fixture(scope="module")
def make(trained):
    def make(family, **options):
        merges = [tuple(pair) for pair in trained["merges"]]
        library = Library(models.BPE(trained["vocab"], merges, **options))
        library.add_special_tokens(["<|endoftext|>"])
        library.pre_tokenizer = FAMILIES[family]
        library.decoder = decoders.ByteLevel()
        return Tokenizer(library)

    return make


@pytest.fixture(scope="module", params=FAMILIES)
def both(request, make):
    tokenizer = make(request.param, ignore_merges=request.param == "llama3")
    graph = graph_tokenizer(tokenizer, 64)
    assert type(graph) is ByteLevelTokenizer
    return tokenizer, graph


def assert_same(found, expected, texts):
    assert len(found) == len(expected) == len(texts)
    together = zip(texts, found, expected, strict=True)
    assert [one for one in together if one[1] != one[2]] == []


def assert_same_ids(tokenizer, graph, texts):
    encoded = tokenizer.library.encode_batch(texts, add_special_tokens=False)
    found = graph.ids(tf.constant(texts, tf.string)).to_list()
    assert_same(found, [one.ids for one in encoded], texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_split_into_the_same_words(make, family):
    tokenizer = make(family)
    codes = [*range(0x3100), *range(0x3100, 0xD800, 97), *range(0xE000, 0x110000, 997)]
    texts = hard_strings(1500)
    texts += [f"x{chr(c)}1{chr(c)}'s {chr(c)} .{chr(c)}y" for c in codes]
    words = Splitter(json.loads(tokenizer.to_json()))(tf.constant(texts)).words
    found = [[word.decode() for word in one] for one in words.to_list()]
    expected = []
    for text in texts:
        pieces = tokenizer.library.pre_tokenizer.pre_tokenize_str(text)
        expected.append([bytes_of(letters).decode() for letters, _ in pieces])
    assert_same(found, expected, texts)


def test_hard_strings_have_the_same_ids(both):
    assert_same_ids(*both, hard_strings(2000))


def test_places_in_the_text_are_the_same(both):
    tokenizer, graph = both
    texts = hard_strings(1000)
    found = graph.pieces(tf.constant(texts))
    encoded = tokenizer.library.encode_batch(texts, add_special_tokens=False)
    assert_same(found.ids.to_list(), [one.ids for one in encoded], texts)
    starts, ends = found.starts.to_list(), found.ends.to_list()
    places = [list(zip(*one, strict=True)) for one in zip(starts, ends, strict=True)]
    assert_same(places, [one.offsets for one in encoded], texts)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "  ", "\n", "'", "'s", "the" * 5000, "中" * 10_000, "long " * 2000,
        "<|endoftext|>", "a<|endoftext|>b", "Ġ", "🙂👩\u200d👩\u200d👧" * 50,
        "\U0010ffff",
    ],
    ids=lambda text: f"{text[:12]!r} of {len(text)}",
)  # fmt: skip
def test_texts_at_the_edges(both, text):
    assert_same_ids(*both, [text, "a", text])
    assert_same_ids(*both, [text])


def test_no_text_at_all(both):
    tokenizer, graph = both
    assert graph.ids(tf.constant([], tf.string)).to_list() == []
    batch = graph(tf.constant(["", ""]))
    # An empty text is read as the padding token, which counts.
    assert batch["token_ids"].numpy().tolist() == [[tokenizer.pad_id]] * 2
    assert batch["padding_mask"].numpy().tolist() == [[1]] * 2


@pytest.mark.parametrize(
    "content",
    [b"a\xff\xfeb", b"\xc3", b"a\xed\xa0\x80b", b"\xf5\x80\x80\x80 good", b"\xc0\xaf"],
)
def test_bytes_that_are_no_utf8_are_replaced(both, content):
    tokenizer, graph = both
    text = content.decode("utf-8", "replace")
    expected = tokenizer.library.encode(text, add_special_tokens=False).ids
    assert graph.ids(tf.constant([content])).to_list() == [expected]


@pytest.mark.parametrize("name", ["gpt2-tokenizer", "roberta-tokenizer"])
@pytest.mark.parametrize("max_length", [5, 8, 21])
def test_batches_are_framed_and_cut_alike(name, max_length):
    tokenizer = read_tokenizer(ROOT / name)
    graph = graph_tokenizer(tokenizer, max_length)
    texts = hard_strings(300, length=16)
    for columns in ([texts], [texts, texts[::-1]]):
        batch = graph(*map(tf.constant, columns))
        arrays = {name: value.numpy() for name, value in batch.items()}
        real = arrays["padding_mask"].sum(-1)
        length = arrays["padding_mask"].shape[1]
        mask = np.arange(length) < real[:, None]
        np.testing.assert_array_equal(arrays["padding_mask"], mask)
        assert (arrays["token_ids"][~mask] == tokenizer.pad_id).all()
        found = [
            (ids[:count].tolist(), segments[:count].tolist())
            for ids, segments, count in zip(
                arrays["token_ids"], arrays["segment_ids"], real, strict=True
            )
        ]
        expected = tokenizer.encode(texts, (columns * 2)[1], max_length)
        if len(columns) == 1:
            expected = tokenizer.encode(texts, None, max_length)
        empty = ([tokenizer.pad_id], [0])
        right = [one[:2] if one.token_ids else empty for one in expected]
        assert_same(found, right, texts)


@pytest.mark.parametrize("prefix", [False, True])
def test_places_without_blanks(prefix, trained):
    merges = [tuple(pair) for pair in trained["merges"]]
    ids = {**trained["vocab"], "<s>": 700, "</s>": 701}
    options = {"special": ["<s>", "</s>"], "frame": ("<s>", "</s>")}
    library = byte_level(ids, merges, prefix_space=prefix, **options)
    texts = hard_strings(1000)
    found = graph_tokenizer(Tokenizer(library), 64).pieces(tf.constant(texts))
    starts, ends = found.starts.to_list(), found.ends.to_list()
    places = [list(zip(*one, strict=True)) for one in zip(starts, ends, strict=True)]
    expected = [one.offsets[1:-1] for one in library.encode_batch(texts)]
    assert_same(places, expected, texts)


@pytest.mark.parametrize("in_order", [True, False])
def test_merges_are_made_in_their_order(in_order, trained):
    # Shuffled, a merge may need what only a later one makes.
    merges = [tuple(pair) for pair in trained["merges"]]
    if not in_order:
        random.Random(0).shuffle(merges)
    model = models.BPE(trained["vocab"], merges)
    pairs = BytePairs(trained["vocab"], merges)
    assert pairs.one_place is not in_order
    alphabet = sorted(
        {letter for pair in merges[:80] for part in pair for letter in part}
    )
    generator = random.Random(1)
    words = ["".join(generator.choices(alphabet, k=k % 30 + 1)) for k in range(1000)]
    words += [letter * k for letter in alphabet[:5] for k in range(1, 40)]
    ids = [[trained["vocab"][letter] for letter in word] for word in words]
    found = pairs(tf.ragged.constant(ids, dtype=tf.int32)).to_list()
    assert_same(found, [[p.id for p in model.tokenize(word)] for word in words], words)


def test_a_vocabulary_of_bytes_alone():
    letters = sorted(pre.ByteLevel.alphabet())
    ids = {letter: index for index, letter in enumerate(letters)}
    tokenizer = Tokenizer(byte_level(ids, [], special=[]))
    assert_same_ids(tokenizer, graph_tokenizer(tokenizer, 64), hard_strings(100))


def test_bytes_without_a_token_are_dropped_alike():
    # SmolLM2's vocabulary lacks some; what stands around one comes together.
    ids = {
        letter: index for index, letter in enumerate(["a", "b", "ab", "Ġ", "Ċ", "Ã"])
    }
    tokenizer = Tokenizer(byte_level(ids, [("a", "b")], special=[]))
    graph = graph_tokenizer(tokenizer, 64)
    texts = ["ab", "acb", "a cb é", "", "c", "ccc a\n\nccb", "éa中b", "c" * 50 + "ab"]
    assert_same_ids(tokenizer, graph, texts)
    with pytest.raises(DataError, match="bytes without a token"):
        graph.pieces(tf.constant(texts))


@pytest.mark.parametrize("skip", [True, False])
def test_ids_become_the_same_text(make, skip):
    tokenizer = make("gpt2")
    tokenizer.library.add_special_tokens(["two words", "中"])
    generator = random.Random(0)
    # Single bytes as well, most of which are no UTF-8 together.
    ids = [*range(tokenizer.vocabulary_size), *[*range(260)] * 5]
    rows = [generator.choices(ids, k=generator.randrange(9)) for _ in range(20_000)]
    detokenizer = Detokenizer(tokenizer, skip_special_tokens=skip)
    found = detokenizer(tf.ragged.constant(rows, dtype=tf.int32)).numpy()
    expected = tokenizer.library.decode_batch(rows, skip_special_tokens=skip)
    assert_same([text.decode() for text in found], expected, rows)
    beyond = tf.ragged.constant([[-1, tokenizer.vocabulary_size]], dtype=tf.int32)
    assert detokenizer(beyond).numpy().tolist() == [b""]


def test_inside_a_function_of_any_batch_size(both):
    tokenizer, graph = both
    traced = tf.function(
        lambda texts: graph.ids(texts),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    operations = {
        node.op for node in traced.get_concrete_function().graph.as_graph_def().node
    }
    assert not [name for name in operations if "Table" in name or "File" in name]
    for texts in (["a"], ["the 's", "", "x!"]):
        encoded = tokenizer.library.encode_batch(texts, add_special_tokens=False)
        assert traced(tf.constant(texts)).to_list() == [one.ids for one in encoded]


REFUSED = {
    "normalizer": (
        lambda library: setattr(library, "normalizer", normalizers.NFKC()),
        "the normalizer",
    ),
    "added word": (
        lambda library: library.add_tokens([AddedToken("added", special=False)]),
        "added tokens that are words, such as 'added'",
    ),
    "bytes": (
        lambda library: setattr(library.model, "byte_fallback", True),
        "byte_fallback True",
    ),
    "dropout": (lambda library: setattr(library.model, "dropout", 0.1), "dropout 0.1"),
    "unknown": (lambda library: setattr(library.model, "unk_token", "!"), "unk_token"),
    "splitting": (
        lambda library: setattr(library, "pre_tokenizer", pre.Whitespace()),
        "pre-tokenizer",
    ),
    "expression": (
        lambda library: setattr(
            library,
            "pre_tokenizer",
            pre.Sequence([pre.Split(Regex("a|b"), "isolated"), FAMILIES["gpt2"]]),
        ),
        "pre-tokenizer",
    ),
    "kind": (
        lambda library: setattr(library, "model", models.Unigram([("a", 0.0)])),
        "kind Unigram",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_tokenizer_without_an_exact_form_is_refused(make, change):
    tokenizer = make("gpt2")
    alter, what = REFUSED[change]
    alter(tokenizer.library)
    with pytest.raises(DataError, match=what) as caught:
        graph_tokenizer(tokenizer, 64)
    assert 'format="onnx"' in caught.value.fix
    assert "export_huggingface" in caught.value.fix


def test_a_decoder_of_another_kind_is_refused(make):
    tokenizer = make("gpt2")
    tokenizer.library.decoder = decoders.WordPiece()
    with pytest.raises(DataError, match="decoder WordPiece"):
        Detokenizer(tokenizer)
