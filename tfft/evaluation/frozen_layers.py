"""Runs the frozen layers of a network over rows, to store their states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.compute.forward_only import forward_only
from tfft.compute.processor import for_processor, on_processor
from tfft.compute.split_frozen import Split
from tfft.data.batching import Batches, Examples
from tfft.data.states import Ragged, StateExamples, new_array

_ROWS_AT_ONCE = 16


class FrozenLayers:
    """The frozen layers of a network, as a function of rows.

    Args:
        split: The cut. From now on its layers must keep their precision.
    """

    def __init__(self, split: Split) -> None:
        import tensorflow as tf

        self.split = split
        self._inputs = list(split.prefix.input)
        signature = {
            name: tf.TensorSpec((None, None), tf.int32, name) for name in self._inputs
        }

        def call(batch: Mapping[str, Any]) -> list[Any]:
            with forward_only(), for_processor(on_processor()):
                return _listed(split.prefix(batch, training=False))

        self._call = tf.function(
            call, autograph=False, input_signature=[signature]
        ).get_concrete_function()
        self._types = [
            one.dtype.as_numpy_dtype for one in self._call.structured_outputs
        ]

    def _shapes(self, examples: Examples) -> list[tuple[int, ...]]:
        counts = (len(examples), int(examples.lengths.sum()))
        return [
            (counts[per_token], *size)
            for per_token, size in zip(
                self.split.per_token, self.split.sizes, strict=True
            )
        ]

    def size(self, examples: Examples) -> int:
        """Returns the size in bytes of the states of some rows."""
        return sum(
            int(np.prod(shape)) * np.dtype(kind).itemsize
            for shape, kind in zip(self._shapes(examples), self._types, strict=True)
        )

    def states(self, examples: Examples, folder: Path | None) -> StateExamples:
        """Returns rows with their states at the cut, stored in a folder if given."""
        arrays = [
            new_array(shape, kind, folder and folder / f"{index}.bin")
            for index, (shape, kind) in enumerate(
                zip(self._shapes(examples), self._types, strict=True)
            )
        ]
        lengths = examples.lengths
        starts = np.concatenate([[0], np.cumsum(lengths)])
        batches = Batches(examples, _ROWS_AT_ONCE)
        for rows in batches.rows():
            batch = batches.batch(rows)
            made = self._call({name: batch[name] for name in self._inputs})
            for values, array, per_token in zip(
                made, arrays, self.split.per_token, strict=True
            ):
                _put(array, values.numpy(), rows, starts if per_token else None)
        return self._examples(examples, arrays, starts, lengths)

    def _examples(
        self,
        examples: Examples,
        arrays: list[np.ndarray],
        starts: np.ndarray,
        lengths: np.ndarray,
    ) -> StateExamples:
        read = self.split.rest.input
        below = set(self._inputs) - set(read)
        sequences: dict[str, Any] = {
            name: values
            for name, values in examples.sequences.items()
            if name not in below  # token labels stay
        }
        values = dict(examples.values)
        padding = dict(examples.padding)
        for name, array, per_token in zip(
            self.split.names, arrays, self.split.per_token, strict=True
        ):
            if per_token:
                sequences[name], padding[name] = Ragged(array, starts), 0
            else:
                values[name] = array
        return StateExamples(
            sequences, values, padding, sources=examples.sources, sizes=lengths
        )


def _put(
    array: np.ndarray, values: np.ndarray, rows: np.ndarray, starts: np.ndarray | None
) -> None:
    """Writes the states of some rows to their places, without padding."""
    if starts is None:
        array[rows] = values[: len(rows)]
        return
    for row, value in zip(rows, values, strict=False):
        length = starts[row + 1] - starts[row]
        array[starts[row] : starts[row + 1]] = value[:length]


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
