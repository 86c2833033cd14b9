"""Frozen layers computed once for each row, instead of once in each epoch."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.errors import ConfigError
from tfft.data.batching import Batches, Examples
from tfft.evaluation.forward import Forward
from tfft.evaluation.frozen_layers import FrozenLayers
from tfft.fitting.config import FinetuneConfig
from tfft.models.frozen import Split, split_frozen
from tfft.runs.folder import FROZEN
from tfft.runs.predictor import Predictor

# Of the memory that is available, and of the disk's free space.
_MEMORY_SHARE, _DISK_SHARE = 0.25, 0.8


@dataclass(frozen=True)
class Shortened:
    """A training that begins where the frozen layers end.

    Attributes:
        split: The cut; what trains is its `rest`.
        ids: The rows by split as they were encoded.
        states: The same rows with their states at the cut.
    """

    split: Split
    ids: Mapping[str, Examples]
    states: Mapping[str, Examples]

    def forward(self, whole: Forward) -> ShortForward:
        """Returns a forward pass that is short for the rows of validation."""
        known = "validation" if "validation" in self.ids else "train"
        states, split = self.states[known], self.split
        sample = Batches(states, 1).batch(np.array([0]))
        forms = {
            name: ((None, *([None] * per_token), *size), sample[name].dtype)
            for name, per_token, size in zip(
                split.names, split.per_token, split.sizes, strict=True
            )
        }
        rest = whole.over(split.rest, forms)
        return ShortForward(whole, rest, self.ids[known], states)


class ShortForward:
    """A forward pass that knows how far some rows had got.

    Args:
        whole: The forward pass of the whole network.
        rest: That of the network above the frozen layers.
        ids: The known rows as they were encoded.
        states: The same rows with their states.
    """

    def __init__(
        self, whole: Forward, rest: Forward, ids: Examples, states: Examples
    ) -> None:
        self._whole, self._rest, self._ids, self._states = whole, rest, ids, states

    def __call__(self, batches: Batches, *arguments: Any) -> Any:
        """Returns the outputs of all examples, in their order."""
        if not _same_rows(batches.examples, self._ids):
            return self._whole(batches, *arguments)
        return self._rest(Batches(self._states, batches.batch_size), *arguments)


def _same_rows(one: Examples, other: Examples) -> bool:
    return np.array_equal(one.lengths, other.lengths) and all(
        np.array_equal(np.concatenate(values), np.concatenate(other.sequences[name]))
        for name, values in one.sequences.items()
    )


@contextlib.contextmanager
def shortened(
    predictor: Predictor,
    folder: Path,
    examples: Mapping[str, Examples],
    batches: Batches,
    config: FinetuneConfig,
    say: Callable[[str], None],
) -> Iterator[tuple[Predictor, Any, Batches]]:
    """Yields a predictor to score with, and the network and batches to train on.

    If the frozen layers are computed once, the network and the batches begin where
    those layers end, and the predictor takes the same short way.

    Args:
        predictor: Holds the whole network.
        folder: The run folder.
        examples: The rows by split.
        batches: The training rows.
        config: The options of the training.
        say: Shows the user a sentence.
    """
    split, note = choose_split(predictor.model, config.cache_frozen, config.epochs)
    if note:
        say(f"note: {note}")
    if split is None:
        yield predictor, predictor.model, batches
        return
    required = bool(config.cache_frozen)
    kept = folder / FROZEN
    with computed_once(split, examples, kept, say, required=required) as short:
        if short is None:
            yield predictor, predictor.model, batches
            return
        yield (
            Predictor(
                predictor.built,
                predictor.task,
                predictor.labels,
                short.forward(predictor.forward),
            ),
            split.rest,
            batches.of(short.states["train"]),
        )


def choose_split(
    network: Any, cache_frozen: bool | None, epochs: int
) -> tuple[Split | None, str]:
    """Returns the cut to use, if any, and what the user should know.

    Args:
        network: With its trainability and its dropout set.
        cache_frozen: None decides by the number of epochs.
        epochs: Passes over the rows.

    Raises:
        ConfigError: When it is asked for and cannot be.
    """
    if cache_frozen is False or (cache_frozen is None and epochs == 1):
        return None, ""
    split = split_frozen(network)
    without_dropout = split_frozen(network, despite_dropout=True)
    reason = ""
    if without_dropout and (not split or split.kernels < without_dropout.kernels):
        reason = (
            "dropout inside the backbone keeps frozen layers from being computed once; "
            "backbone_dropout=0 would let them"
        )
    if cache_frozen and split is None:
        raise ConfigError(
            "cache_frozen=True, but "
            + ("dropout is active in" if reason else "training changes")
            + " the first layers",
            expected="layers without dropout below everything that trains",
            fix="say backbone_dropout=0" if reason else "leave cache_frozen out",
        )
    return split, reason


@contextlib.contextmanager
def computed_once(
    split: Split,
    examples: Mapping[str, Examples],
    folder: Path,
    say: Callable[[str], None],
    *,
    required: bool,
) -> Iterator[Shortened | None]:
    """Yields the shorter training, or None when its states have no room.

    Args:
        split: The cut.
        examples: The rows by split, `train` and maybe `validation`.
        folder: Where the states are kept when memory is short; removed at the end.
        say: Shows the user a sentence.
        required: Leaves it to the disk to refuse, instead of yielding None.
    """
    prefix = FrozenLayers(split)
    kept = {
        name: examples[name] for name in ("train", "validation") if name in examples
    }
    size = sum(map(prefix.size, kept.values()))
    rows = sum(map(len, kept.values()))
    in_memory = size <= _MEMORY_SHARE * available_memory()
    if (
        not in_memory
        and not required
        and size > _DISK_SHARE * free_space(folder.parent)
    ):
        say(
            f"note: the frozen layers' states of {rows:,} rows, {_bytes(size)}, have "
            "no room in memory or on the disk: each epoch computes them"
        )
        yield None
        return
    place = None if in_memory else folder
    say(
        f"note: frozen layers ({split.kernels:.0%} of the kernels) are computed once "
        f"for {rows:,} rows: {_bytes(size)} in {place or 'memory'}"
    )
    try:
        states = {
            name: prefix.states(one, place and place / name)
            for name, one in kept.items()
        }
        yield Shortened(split, kept, states)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def available_memory() -> int:
    """Returns the bytes that can be had without swapping."""
    import psutil

    return psutil.virtual_memory().available


def free_space(folder: Path) -> int:
    """Returns the bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
