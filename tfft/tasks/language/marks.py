"""Finds the tokens of a text to learn, by their characters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tfft.text.language_ids import TextIds

Span = tuple[int, int]


def learned_tokens(ids: TextIds, spans: Sequence[Span]) -> list[bool]:
    """Returns for each token whether it contains a character to learn.

    A token across a border is learned, as in TRL.

    Args:
        ids: The tokens of the text.
        spans: Start and end character of each part to learn.

    >>> learned_tokens(TextIds([7, 8, 9], [(0, 2), (2, 4), (4, 5)]), [(3, 5)])
    [False, True, True]
    """
    marks = [False] * len(ids.offsets)
    for place, (first, last) in enumerate(ids.offsets):
        # A token without characters, such as an added space, still has a position.
        end = max(last, first + 1)
        marks[place] = any(end > start and first < stop for start, stop in spans)
    return marks


def trailing(
    text: str, ids: TextIds, span: Span, special: Collection[int]
) -> list[int]:
    """Returns the indices of the special tokens that end a part, in order.

    White space between and after them, such as the line break that a template writes
    after a turn, is skipped.

    Args:
        text: The text.
        ids: Its tokens.
        span: The part.
        special: The ids of special tokens.

    >>> ids = TextIds([5, 1, 6], [(0, 3), (3, 4), (4, 5)])
    >>> trailing("yes$ ", ids, (0, 5), special={1})
    [1]
    """
    found: list[int] = []
    start, stop = span
    for place in range(len(ids.token_ids) - 1, -1, -1):
        first, last = ids.offsets[place]
        if first >= stop:
            continue
        if first < start:
            break
        if ids.token_ids[place] in special:
            found.insert(0, place)
        elif text[first:last].strip():
            break
    return found


def is_joined(ids: TextIds, border: int) -> bool:
    """Returns whether a token has characters on both sides of a border.

    >>> is_joined(TextIds([7, 8], [(0, 2), (2, 4)]), 3)
    True
    """
    return any(first < border < last for first, last in ids.offsets)
