"""Batches of similar length, in an order that the seed and the epoch decide."""

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
    """Encoded rows, before they are padded.

    Attributes:
        sequences: Per-token features of unequal length by their batch name:
            `token_ids`, and `segment_ids` where the model has them. A feature may
            have another length than the tokens, as the labels of few of them.
        values: Per-row features by their batch name: `labels`, `weights`.
        padding: What fills each sequence feature up.
        sources: The rows that each example was made of, where that is not one each
            in their order.
    """

    sequences: Mapping[str, Sequence[Sequence[int]]]
    values: Mapping[str, np.ndarray]
    padding: Mapping[str, int]
    sources: Sequence[Sequence[int]] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.sequences["token_ids"])

    def rows_of(self, examples: Iterable[int]) -> list[int]:
        """Returns the rows that some examples were made of."""
        if not self.sources:
            return list(examples)
        return [row for example in examples for row in self.sources[example]]

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each row."""
        return np.array([len(ids) for ids in self.sequences["token_ids"]], "int64")

    def form(self, name: str) -> tuple[tuple[int, ...], Any]:
        """Returns the shape and the type of a token of a sequence feature."""
        return (), "int32"

    def select(self, rows: np.ndarray) -> Examples:
        """Returns some of the rows."""
        return Examples(
            {name: [v[row] for row in rows] for name, v in self.sequences.items()},
            {name: v[rows] for name, v in self.values.items()},
            self.padding,
        )


def bucket_length(length: int) -> int:
    """Returns the padded length for a batch whose longest row has `length` tokens.

    Steps of 8, from 64 on four lengths to each doubling: above 32 tokens less than a
    fifth of the longest row's length is padding of this kind, and up to 512 tokens
    there are 20 shapes to compile.

    >>> [bucket_length(n) for n in (0, 1, 17, 65, 128, 129, 300)]
    [8, 8, 24, 80, 128, 160, 320]
    """
    step = _SMALLEST
    while step * 8 < length:
        step *= 2
    return -(-max(length, 1) // step) * step


class Batches:
    """The batches of some examples, the same shapes for the same lengths.

    Each epoch shuffles the rows, sorts stretches of 32 batches by length, cuts them
    and shuffles the batches. What fills a batch up are rows of weight 0 and of
    `row_ids` -1.

    Args:
        examples: The encoded rows.
        batch_size: Rows in a batch.
        seed: For the order. None keeps the longest rows first, for inference: what
            does not fit into memory then fails at once.
        divisible_by: Batches are filled up to a multiple of it, for replicas and
            for accumulation. Defaults to 1.
        equal: Whether the last batch is filled up to the rows of the others, for
            what needs equal shapes. Defaults to False.
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
        """The number of rows of a whole batch, filled up."""
        return self._padded(self.batch_size)

    def _padded(self, rows: int) -> int:
        most = self.batch_size if self._equal else rows
        return -(-most // self._divisor) * self._divisor

    def of(self, examples: Examples) -> Batches:
        """Returns the same batches of other features, or of other rows."""
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
        """Returns the batch dict of some rows, filled up."""
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
        """Returns the real and the padded number of tokens of an epoch."""
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
        """Returns an endless `tf.data.Dataset` of batches, from any place on.

        Args:
            first_epoch: Where it begins.
            first_step: Batches of that epoch to leave out.
            shares: Parts of equal size that each batch is cut into, one after another;
                `divisible_by` is a multiple of it.
            mine: The parts wanted, for a process that has some of the replicas.
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
