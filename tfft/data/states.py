"""Examples whose first layers are already computed: states instead of ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.files import storage_errors
from tfft.data.batching import Examples


@dataclass(frozen=True)
class Ragged(Sequence[np.ndarray]):
    """Arrays of varying length, stored one after another in a single array.

    Args:
        values: All of them, shape (total length, ...).
        starts: The start of each array, and the end of the last.

    >>> Ragged(np.arange(5), np.array([0, 2, 5]))[1].tolist()
    [2, 3, 4]
    """

    values: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: Any) -> Any:
        return self.values[self.starts[index] : self.starts[index + 1]]


@dataclass(frozen=True)
class StateExamples(Examples):
    """Examples that hold states of a model instead of ids.

    Attributes:
        sizes: The number of tokens of each row.
    """

    sizes: np.ndarray = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each row."""
        return self.sizes

    def form(self, name: str) -> tuple[tuple[int, ...], Any]:
        """Returns the shape and the type of one token of a sequence feature."""
        first = self.sequences[name][0]
        if np.ndim(first) > 1:  # states; ids are plain numbers
            return first.shape[1:], first.dtype
        return super().form(name)


def new_array(shape: tuple[int, ...], dtype: Any, path: Path | None) -> np.ndarray:
    """Returns an array to fill, in memory or in a file.

    Args:
        shape: Its shape.
        dtype: Its type.
        path: The file; None for memory.

    Raises:
        StorageError: When the disk does not have enough room.
    """
    if path is None:
        return np.empty(shape, dtype)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with path.open("wb") as file:
            # Writing to a disk that fills up later would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(path, dtype, "r+", shape=shape)
