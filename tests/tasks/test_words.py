"""Words and their places, in any script."""

from __future__ import annotations

import random

import pytest

from tfft.tasks.tokens.words import first_tokens, joined, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ann's in Rome.", ["Ann", "'", "s", "in", "Rome", "."]),
        ("Zoe\u0308 e\u0301te\u0301", ["Zoe\u0308", "e\u0301te\u0301"]),
        ("東京に行く", ["東", "京", "に", "行", "く"]),
        ("tab\tand\u00a0blank\u3000wide", ["tab", "and", "blank", "wide"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("👩\u200d🚀 flies", ["👩\u200d", "🚀", "flies"]),
        ("a_b", ["a", "_", "b"]),
        (" \x00\n", []),
        ("", []),
        ("한국어 텍스트", ["한국어", "텍스트"]),
    ],
)
def test_words_of_a_text(text, words):
    assert [text[start:end] for start, end in words_of(text)] == words


def test_words_lie_in_order_and_hold_every_visible_character():
    generator = random.Random(0)
    hard = [32, 97, 0x301, 0x4E2D, 0x5D0, 0x1F600, 0x202E, 9, 46]
    for _ in range(300):
        codes = [
            generator.choice([*hard, generator.randrange(0xD800)]) for _ in "x" * 30
        ]
        text = "".join(map(chr, codes))
        places = words_of(text)
        ends = [0, *(end for _, end in places)]
        starts = [start for start, _ in places]
        for end, start, stop in zip(ends, starts, ends[1:], strict=False):
            assert end <= start < stop
        inside = {i for start, end in places for i in range(start, end)}
        for index, character in enumerate(text):
            assert index in inside or character.isspace() or not character.isprintable()


def test_joined_words_stand_at_their_places():
    text, places = joined(["New York", "is", "é"])
    assert text == "New York is é"
    assert [text[start:end] for start, end in places] == ["New York", "is", "é"]


@pytest.mark.parametrize(
    ("words", "tokens", "found"),
    [
        ([(0, 3), (4, 6)], [(0, 2), (2, 3), (4, 6)], [0, 2]),
        ([(0, 1), (1, 2)], [(0, 2)], [0, 0]),  # one token over two words
        ([(0, 1), (2, 3)], [(2, 3)], [-1, 0]),  # the first word is dropped
        ([(0, 1), (2, 3)], [(0, 1)], [0, -1]),
        ([(0, 2)], [(0, 0), (1, 1), (0, 2)], [2]),  # empty tokens
        ([(0, 1)], [(0, 1), (0, 1)], [0]),  # one character, two tokens
        ([], [(0, 1)], []),
    ],
)
def test_first_tokens(words, tokens, found):
    assert first_tokens(words, tokens) == found
