"""Batches of similar length, in an order decided by the seed and the epoch."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfft.core.seeds import stream
from tfft.data.numbered import numbered_dataset

_SMALLEST = 8
_CHUNK = 32


@dataclass(frozen=True)
class Examples:
    """Encoded rows before padding.

    Attributes:
        sequences: Per-token features of varying length by their batch name:
            `token_ids`, and `segment_ids` if the model uses them. A feature may have
            another length than the tokens, such as labels for only a few of them.
        values: Per-row features by their batch name: `labels`, `weights`.
        padding: The padding value of each sequence feature.
        sources: The rows that each example was made from. Empty if each row is one
            example, in order.
    """

    sequences: Mapping[str, Sequence[Sequence[int]]]
    values: Mapping[str, np.ndarray]
    padding: Mapping[str, int]
    sources: Sequence[Sequence[int]] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.sequences["token_ids"])

    def rows_of(self, examples: Iterable[int]) -> list[int]:
        """Returns the rows that the given examples were made from."""
        if not self.sources:
            return list(examples)
        return [row for example in examples for row in self.sources[example]]

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each row."""
        return np.array([len(ids) for ids in self.sequences["token_ids"]], "int64")

    def form(self, name: str) -> tuple[tuple[int, ...], Any]:
        """Returns the shape and the type of one token of a sequence feature."""
        return (), "int32"

    def select(self, rows: np.ndarray) -> Examples:
        """Returns the examples at the given indices."""
        return Examples(
            {name: [v[row] for row in rows] for name, v in self.sequences.items()},
            {name: v[rows] for name, v in self.values.items()},
            self.padding,
        )


def bucket_length(length: int) -> int:
    """Returns the padded length for a batch whose longest row has `length` tokens.

    Lengths are multiples of 8; from 64 on there are four lengths to each doubling.
    Above 32 tokens, rounding up adds less than a fifth of the longest row's length, and
    up to 512 tokens there are 20 shapes to compile.

    >>> [bucket_length(n) for n in (0, 1, 17, 65, 128, 129, 300)]
    [8, 8, 24, 80, 128, 160, 320]
    """
    step = _SMALLEST
    while step * 8 < length:
        step *= 2
    return -(-max(length, 1) // step) * step


class Batches:
    """The batches of some examples; equal lengths give equal shapes.

    Each epoch shuffles the rows, sorts stretches of 32 batches by length, cuts them
    into batches and shuffles those. Batches are filled up with rows of weight 0 and
    `row_ids` -1.

    Args:
        examples: The encoded rows.
        batch_size: Rows in a batch.
        seed: Seed for the order. None puts the longest rows first, for inference:
            then a batch that does not fit into memory fails at once.
        divisible_by: Batches are filled up to a multiple of this number, for replicas
            and for accumulation. Defaults to 1.
        equal: Whether to fill the last batch up to the size of the others, for code
            that needs equal shapes. Defaults to False.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        seed: int | None = None,
        divisible_by: int = 1,
        *,
        equal: bool = False,
    ) -> None:
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self._divisor, self._equal = divisible_by, equal

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    @property
    def padded_size(self) -> int:
        """The number of rows in a full batch, filled up."""
        return self._padded(self.batch_size)

    def _padded(self, rows: int) -> int:
        most = self.batch_size if self._equal else rows
        return -(-most // self._divisor) * self._divisor

    def of(self, examples: Examples) -> Batches:
        """Returns the same batches over other features or other rows."""
        other = copy.copy(self)
        other.examples = examples
        return other

    def rows(self, epoch: int = 0) -> list[np.ndarray]:
        """Returns the row indices of each batch of an epoch."""
        lengths = self.examples.lengths
        if self.seed is None:
            return self._cut(np.argsort(-lengths, kind="stable"))
        random = stream(self.seed, "order", epoch)
        order = random.permutation(len(self.examples))
        stretch = self.batch_size * _CHUNK
        batches: list[np.ndarray] = []
        for start in range(0, len(order), stretch):
            part = order[start : start + stretch]
            batches.extend(self._cut(part[np.argsort(-lengths[part], kind="stable")]))
        return [batches[index] for index in random.permutation(len(batches))]

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        starts = range(0, len(order), self.batch_size)
        return [order[start : start + self.batch_size] for start in starts]

    def epoch(self, epoch: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batch dicts of an epoch."""
        for rows in self.rows(epoch):
            yield self.batch(rows)

    def batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the batch dict of the given rows, filled up."""
        size = self._padded(len(rows))
        missing = size - len(rows)
        filled = np.concatenate([rows, np.repeat(rows[:1], missing)])
        length = bucket_length(int(self.examples.lengths[filled].max()))
        batch: dict[str, np.ndarray] = {}
        for name, sequences in self.examples.sequences.items():
            shape, dtype = self.examples.form(name)
            longest = max(len(sequences[row]) for row in filled)
            padded = np.full(
                (size, bucket_length(longest), *shape),
                self.examples.padding[name],
                dtype,
            )
            for index, row in enumerate(filled):
                padded[index, : len(sequences[row])] = sequences[row]
            batch[name] = padded
        real = self.examples.lengths[filled]
        batch["padding_mask"] = (np.arange(length) < real[:, None]).astype("int32")
        for name, values in self.examples.values.items():
            batch[name] = values[filled]
        weights = batch.get("weights", np.ones(size, "float32")).copy()
        weights[len(rows) :] = 0
        batch["weights"] = weights
        batch["row_ids"] = np.concatenate([rows, np.full(missing, -1)]).astype("int32")
        return batch

    def tokens(self, epoch: int = 0) -> tuple[int, int]:
        """Returns the real and the padded number of tokens in an epoch."""
        lengths = self.examples.lengths
        padded = sum(
            bucket_length(int(lengths[rows].max())) * self._padded(len(rows))
            for rows in self.rows(epoch)
        )
        return int(lengths.sum()), padded

    def dataset(
        self,
        first_epoch: int = 0,
        first_step: int = 0,
        shares: int = 1,
        mine: range = range(1),
    ) -> Any:
        """Returns an endless `tf.data.Dataset` of batches that can start anywhere.

        Args:
            first_epoch: The epoch to start in.
            first_step: Number of batches of that epoch to skip.
            shares: Number of equal parts to cut each batch into, one after another;
                `divisible_by` is a multiple of it.
            mine: The indices of the parts to return, for a process that has only some
                of the replicas.
        """
        import tensorflow as tf

        parts = len(mine)
        order = functools.lru_cache(maxsize=1)(self.rows)

        @functools.lru_cache(maxsize=1)
        def whole(number: int) -> dict[str, np.ndarray]:
            epoch, step = divmod(number, len(self))
            return self.batch(order(epoch)[step])

        def part(number: int) -> dict[str, np.ndarray]:
            batch = whole(number // parts)
            size = len(batch["weights"]) // shares
            begin = mine[number % parts] * size
            return {name: value[begin : begin + size] for name, value in batch.items()}

        per_token = {*self.examples.sequences, "padding_mask"}
        every = np.arange(len(self.examples))
        sizes = {self._padded(len(rows)) for rows in self._cut(every)}
        size = sizes.pop() // shares if len(sizes) == 1 else None
        signature = {
            name: tf.TensorSpec(
                (size, None, *value.shape[2:])
                if name in per_token
                else (size, *value.shape[1:]),
                value.dtype,
            )
            for name, value in self.batch(np.array([0])).items()
        }
        first = (first_epoch * len(self) + first_step) * parts
        return numbered_dataset(part, signature, first).prefetch(2)
