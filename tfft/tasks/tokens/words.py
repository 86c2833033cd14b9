"""The words of a text, with their positions."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

# Blocks of characters that are words of their own: no spaces between words.
_APART = (
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3134F),
)

Offsets = tuple[int, int]


@lru_cache(maxsize=65536)
def kind_of(character: str) -> str:
    """Returns "word", "apart", "blank" or "mark" (continues the previous character)."""
    code = ord(character)
    if any(low <= code <= high for low, high in _APART):
        return "apart"
    category = unicodedata.category(character)
    if character.isspace() or category in ("Cc", "Cs"):
        return "blank"
    if category[0] == "M" or category == "Cf":
        return "mark"
    return "word" if category[0] in "LN" else "apart"


def words_of(text: str) -> list[Offsets]:
    r"""Returns the start and end character of each word; the end is exclusive.

    A word is a run of letters and digits with their marks. Every other visible
    character is a word of its own, including Chinese characters and kana.

    >>> [text[a:b] for text in ["Zoë lives in U.K."] for a, b in words_of(text)]
    ['Zoë', 'lives', 'in', 'U', '.', 'K', '.']
    """
    offsets: list[Offsets] = []
    before = "blank"
    for index, character in enumerate(text):
        kind = kind_of(character)
        if kind == "mark" and before != "blank":
            offsets[-1] = (offsets[-1][0], index + 1)
            continue
        if kind == "word" and before == "word":
            offsets[-1] = (offsets[-1][0], index + 1)
        elif kind != "blank":
            offsets.append((index, index + 1))
        before = kind if kind != "mark" else "apart"
    return offsets


def joined(words: Sequence[str]) -> tuple[str, list[Offsets]]:
    """Returns words joined with spaces, and their positions in that text.

    >>> joined(["Jim", "Henson"])
    ('Jim Henson', [(0, 3), (4, 10)])
    """
    offsets: list[Offsets] = []
    end = -1
    for word in words:
        offsets.append((end + 1, end + 1 + len(word)))
        end = offsets[-1][1]
    return " ".join(words), offsets


def first_tokens(words: Sequence[Offsets], tokens: Sequence[Offsets]) -> list[int]:
    """Returns for each word the first token that shares a character with it.

    Args:
        words: Positions in text order, without overlaps.
        tokens: Positions of the tokens of the same text, in order; some may be empty.

    Returns:
        Token indices; -1 for a word that the tokenizer dropped.

    >>> first_tokens([(0, 3), (4, 6)], [(0, 2), (2, 3), (4, 6)])
    [0, 2]
    """
    found: list[int] = []
    index = 0
    for start, end in words:
        while index < len(tokens) and tokens[index][1] <= start:
            index += 1
        at = index
        while at < len(tokens) and tokens[at][0] == tokens[at][1]:
            at += 1
        hit = at < len(tokens) and tokens[at][0] < end and tokens[at][1] > start
        found.append(at if hit else -1)
    return found
