"""Packing: several examples in one row, so that no padding is computed."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


def best_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Returns which examples share a row; no row exceeds the capacity.

    Examples are placed from longest to shortest, each where it leaves the least room
    (Johnson, 1973). This takes at most 11/9 of the fewest rows possible, plus one.

    Args:
        lengths: The number of tokens of each example.
        capacity: The most tokens of a row, at least the longest example's length.

    Returns:
        The indices of the examples of each row, in ascending order.

    Raises:
        ValueError: When an example is longer than the capacity.

    >>> best_fit_decreasing([3, 5, 2, 6, 4], capacity=8)
    [[2, 3], [0, 1], [4]]
    """
    if max(lengths, default=0) > capacity:
        raise ValueError(f"an example of {max(lengths)} tokens exceeds {capacity}")
    rows: list[list[int]] = []
    # (room left, row), ascending: the first with enough room is the best fit.
    room: list[tuple[int, int]] = []
    for example in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        found = bisect.bisect_left(room, (lengths[example], -1))
        if found == len(room):
            rows.append([])
            left, row = capacity, len(rows) - 1
        else:
            left, row = room.pop(found)
        rows[row].append(example)
        bisect.insort(room, (left - lengths[example], row))
    return [sorted(row) for row in rows]


def pack(
    examples: Sequence[Sequence[int]], rows: Sequence[Sequence[int]]
) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Returns token ids, positions and sequence ids of packed rows.

    Args:
        examples: The token ids of each example.
        rows: The examples of each row, as returned by `best_fit_decreasing`.

    Returns:
        For each row: the tokens of its examples, one after another; their positions,
        which start at 0 in every example; and the number of each token's example,
        counted from 1 because 0 is for padding.

    >>> pack([[7, 8], [9]], [[0, 1]])
    ([[7, 8, 9]], [[0, 1, 0]], [[1, 1, 2]])
    """
    tokens, positions, sequences = [], [], []
    for row in rows:
        members = [examples[index] for index in row]
        tokens.append([token for one in members for token in one])
        positions.append([place for one in members for place in range(len(one))])
        sequences.append(
            [number for number, one in enumerate(members, start=1) for _ in one]
        )
    return tokens, positions, sequences
