"""Overlapping windows: which one decides a token, and the length of their text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfft.text.tokenizer import Window


def row_length(windows: Sequence[Window], stride: int) -> int:
    """Returns the number of tokens of a text in windows, counting special ones once.

    Args:
        windows: All windows of the text.
        stride: Tokens that a window shares with the previous one.
    """
    cut = max((text for text in windows[0].text_ids if text is not None), default=0)
    further = sum(one.text_ids.count(cut) - stride for one in windows[1:])
    return len(windows[0].token_ids) + further


def window_of_tokens(
    sizes: Sequence[int], stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the window of each token of a text, and its position in that window.

    A token in several windows belongs to the one where it is farthest from an edge at
    which the text continues. The ends of the text itself are not such edges.

    Args:
        sizes: Number of tokens of each window without special tokens, in order.
        stride: Tokens that a window shares with the previous one.

    Returns:
        Two arrays of shape (tokens,).

    >>> windows, places = window_of_tokens([4, 4], stride=2)
    >>> windows.tolist(), places.tolist()
    ([0, 0, 0, 1, 1, 1], [0, 1, 2, 1, 2, 3])
    """
    starts = np.concatenate([[0], np.cumsum(np.array(sizes[:-1], "int64") - stride)])
    total = int(starts[-1] + sizes[-1])
    context = np.full(total, -1.0)
    windows, places = np.zeros(total, "int64"), np.zeros(total, "int64")
    for index, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        inside = np.arange(size, dtype="float64")
        left = inside if index else np.full(size, np.inf)
        last = index == len(sizes) - 1
        right = np.full(size, np.inf) if last else inside[::-1]
        room = np.minimum(left, right)
        better = room > context[start : start + size]
        at = np.arange(start, start + size)[better]
        context[at] = room[better]
        windows[at], places[at] = index, inside[better]
    return windows, places
