"""Texts that spell special tokens have the same ids in a graph as outside."""

from __future__ import annotations

import random

import pytest
import tensorflow as tf
from tokenizers import AddedToken

from tests.goldens import ROOT
from tfft.core.errors import DataError
from tfft.models.tokenizer_files import read_tokenizer
from tfft.serving.text_to_ids import TextToIds
from tfft.text.language_ids import special_tokens, text_ids


def prefixed():
    """GPT-2's tokenizer with a blank before each text, and with tokens that nest."""
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    library = tokenizer.library
    library.pre_tokenizer.add_prefix_space = True
    library.add_special_tokens(
        [
            "<|im_start|>",
            "<|im_end|>",
            "<a>",
            "<a><b>",
            "$1.*\\0(",
            "<é 中>",
            AddedToken("<left>", lstrip=True),
            AddedToken("<right>", rstrip=True),
            AddedToken("<both>", lstrip=True, rstrip=True),
        ]
    )
    return tokenizer


@pytest.fixture(params=["gpt2-tokenizer", "roberta-tokenizer", "prefixed"])
def tokenizer(request):
    if request.param == "prefixed":
        return prefixed()
    return read_tokenizer(ROOT / request.param)


def spelling(tokenizer, count):
    """Texts of special tokens, parts of them, blanks of all kinds and words."""
    draw = random.Random(0)
    names = [*special_tokens(tokenizer)]
    parts = [*names, *(name[:-1] for name in names), *(name[1:] for name in names)]
    words = [
        "the cat",
        " ",
        "  ",
        "\n",
        "\u00a0",
        "\u3000",
        "\u200b",
        "é",
        "🙂",
        ">",
        "",
    ]
    return [
        "".join(draw.choice([*words, *parts, *names]) for _ in range(draw.randrange(9)))
        for _ in range(count)
    ]


def test_texts_that_spell_special_tokens_have_the_same_ids(tokenizer):
    texts = [*special_tokens(tokenizer), "", "no token", *spelling(tokenizer, 3000)]
    graph = TextToIds(tokenizer, max_length=64)
    for split in (False, True):
        right = text_ids(tokenizer, texts, split_special_tokens=split)
        found = graph.ids(tf.constant(texts), split_special_tokens=split).to_list()
        different = [
            (text, ids, one.token_ids)
            for text, ids, one in zip(texts, found, right, strict=True)
            if ids != one.token_ids
        ]
        assert different == []
    assert (
        graph.ids(tf.constant([], tf.string), split_special_tokens=False).nrows() == 0
    )


def test_bytes_that_are_no_text_are_replaced(tokenizer):
    content = b"a\xff\xfe<|endoftext|>\xff</s>\xfe"
    text = content.decode("utf-8", "replace")
    [right] = text_ids(tokenizer, [text], split_special_tokens=False)
    graph = TextToIds(tokenizer, max_length=64)
    found = graph.ids(tf.constant([content]), split_special_tokens=False)
    assert found.to_list() == [right.token_ids]


def test_a_token_between_words_alone_has_no_form_in_a_graph():
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    tokenizer.library.add_special_tokens([AddedToken("<w>", single_word=True)])
    graph = TextToIds(tokenizer, max_length=64)
    with pytest.raises(DataError, match="'<w>'"):
        graph.ids(tf.constant(["a"]), split_special_tokens=False)
