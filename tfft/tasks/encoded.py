"""Rows in the form that a model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfft.data.batching import Examples


@dataclass(frozen=True)
class Encoded:
    """Encoded rows, with what decoding and users need to know about them.

    Attributes:
        examples: The examples to batch. A long row may be several examples.
        cut: Number of truncated rows.
        places: The data that decoding needs for each row, in the task's own form.
        notes: Warnings about the ids, one sentence each.
        ends: The tokens that end the answers, for tasks that generate.
        lengths: The number of tokens of each row, if an example is a part of a row or
            holds several rows.
    """

    examples: Examples
    cut: int = 0
    places: Sequence[Any] = ()
    notes: Sequence[str] = ()
    ends: tuple[int, ...] = ()
    lengths: Sequence[int] | None = None

    @property
    def row_lengths(self) -> Sequence[int]:
        """The number of tokens of each row."""
        return self.examples.lengths if self.lengths is None else self.lengths

    def with_columns(self, columns: Mapping[str, np.ndarray]) -> Encoded:
        """Returns the rows with further columns in their batches.

        Args:
            columns: Arrays of shape (examples, ...) by batch name.

        Raises:
            ValueError: For a name that is taken, or another number of examples.
        """
        examples, count = self.examples, len(self.examples)
        for name, column in columns.items():
            if name in examples.values or name in examples.sequences:
                raise ValueError(f"column {name!r} is already in the batch")
            if len(column) != count:
                raise ValueError(f"column {name!r}: {len(column)} of {count} examples")
        values = {**examples.values, **columns}
        return replace(self, examples=replace(examples, values=values))
