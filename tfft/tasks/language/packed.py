"""Turns rows of ids into examples, with one or several rows in each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfft.data.batching import Examples
from tfft.data.packing import best_fit_decreasing, pack
from tfft.tasks.encoded import Encoded
from tfft.tasks.language.encode import Learnable

# Example lengths are multiples of this; this share of real tokens is enough.
_STEP, _ENOUGH = 16, 0.95


def encoded_rows(
    rows: Sequence[Learnable], pad: int, *, together_in: int, notes: Sequence[str]
) -> Encoded:
    """Returns the examples of `packed_examples`, with counts and notes."""
    ends = dict.fromkeys(end for row in rows for end in row.ends)
    return Encoded(
        packed_examples(rows, pad, together_in),
        cut=sum(row.cut for row in rows),
        notes=notes,
        ends=tuple(ends),
        lengths=[len(row.token_ids) for row in rows],
    )


def packed_examples(rows: Sequence[Learnable], pad: int, together_in: int) -> Examples:
    """Returns examples with one or several rows in each.

    Args:
        rows: Usable rows.
        pad: The id of padding.
        together_in: Maximum number of tokens of an example with several rows; 0 for
            one row per example.
    """
    lengths = [len(row.token_ids) for row in rows]
    groups = [[index] for index in range(len(rows))]
    if together_in:
        groups = _filled(lengths, together_in)
    tokens, positions, sequences = pack([row.token_ids for row in rows], groups)
    places, labels = [], []
    for ids, starts, group in zip(tokens, positions, groups, strict=True):
        marks = [mark for index in group for mark in rows[index].learned]
        # The state of a token predicts the next token; nothing predicts the first.
        at = [i for i, mark in enumerate(marks) if mark and starts[i]]
        places.append([i - 1 for i in at])
        labels.append([ids[i] for i in at])
    return Examples(
        sequences={
            "token_ids": tokens,
            "positions": positions,
            "sequence_ids": sequences,
            "label_positions": places,
            "labels": labels,
        },
        values={},
        padding={
            "token_ids": pad,
            "positions": 0,
            "sequence_ids": 0,
            "label_positions": 0,
            "labels": -1,
        },
        sources=groups,
    )


def sums_by_row(
    outputs: Sequence[np.ndarray], examples: Examples, rows: int
) -> np.ndarray:
    """Returns the sums of losses, hits and labels of rows that shared examples.

    Args:
        outputs: For each example the loss and hit of its labels, then padding.
        examples: The return value of `packed_examples`.
        rows: The number of rows.

    Returns:
        Shape (rows, 3), in float64.
    """
    sums = np.zeros((rows, 3))
    sequences = examples.sequences
    for index, values in enumerate(outputs):
        places = sequences["label_positions"][index]
        numbers = np.array(sequences["sequence_ids"][index])[places] - 1
        owners = np.array(examples.sources[index])[numbers]
        scores = np.ones((len(places), 3))
        scores[:, :2] = values[: len(places)]
        np.add.at(sums, owners, scores)
    return sums


def _filled(lengths: Sequence[int], max_length: int) -> list[list[int]]:
    """Returns which rows share an example, in examples as short as padding allows.

    Attention compares every pair of tokens of an example, so long examples cost more.
    But if every row is a little longer than half an example, half of it is padding.
    """
    longest = max(lengths, default=0)
    best: list[list[int]] = []
    least = 0.0
    for times in (1, 2, 4):
        capacity = min(-(-longest * times // _STEP) * _STEP, max(max_length, longest))
        groups = best_fit_decreasing(lengths, capacity)
        share = sum(lengths) / max(1, len(groups) * capacity)
        if share > least:
            best, least = groups, share
        if share >= _ENOUGH:
            break
    return best
