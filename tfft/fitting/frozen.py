"""Frozen layers computed once for each row, and not again in every epoch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfft.compute.split_frozen import Split, split_frozen
from tfft.core.errors import ConfigError
from tfft.data.batching import Batches, Examples
from tfft.data.states import StateExamples
from tfft.evaluation.forward import Forward
from tfft.evaluation.frozen_layers import FrozenLayers

# Of the memory that is available, and of the disk's free space.
_MEMORY_SHARE, _DISK_SHARE = 0.25, 0.8


@dataclass(frozen=True)
class Cuts:
    """The cut of a network.

    Attributes:
        split: The cut above all layers that stay the same; None without one.
        reason: The note for the user when dropout prevents a later cut, else empty.
    """

    split: Split | None
    reason: str

    @classmethod
    def of(cls, network: Any) -> Cuts:
        """Returns the cuts of a network whose trainability and dropout are set."""
        split = split_frozen(network)
        without_dropout = split_frozen(network, despite_dropout=True)
        reason = ""
        if without_dropout and (not split or split.kernels < without_dropout.kernels):
            reason = (
                "dropout inside the backbone keeps frozen layers from being computed "
                "once; backbone_dropout=0 would let them"
            )
        return cls(split, reason)


class Cuttable(Protocol):
    """A network that knows where it can be cut."""

    @property
    def cuts(self) -> Cuts:
        """The cut of the network."""


def choose_split(
    network: Cuttable, cache_frozen: bool | None, passes: int
) -> tuple[Split | None, str]:
    """Returns the cut to use, if any, and a note for the user.

    Args:
        network: The network; its cut is only computed when one may be used.
        cache_frozen: The option; None decides by the number of passes.
        passes: Number of passes of the rows through the network.

    Raises:
        ConfigError: When the option requires a cut and the network has none.
    """
    if cache_frozen is False or (cache_frozen is None and passes == 1):
        return None, ""
    found = network.cuts
    if cache_frozen and found.split is None:
        raise ConfigError(
            "cache_frozen=True, but "
            + ("dropout is active in" if found.reason else "training changes")
            + " the first layers",
            expected="layers without dropout below everything that trains",
            fix="set backbone_dropout=0" if found.reason else "leave cache_frozen out",
        )
    return found.split, found.reason


def same_below(split: Split, backbone: Any) -> str:
    """Returns a key that is equal for cuts whose states are equal.

    Networks over one backbone share its layers. What a network adds below the cut,
    such as its pooling, is compared by class and configuration.

    Args:
        split: The cut.
        backbone: The backbone of the network.
    """
    ours = {id(operation) for operation in backbone.operations}
    parts = []
    for operation in split.prefix.operations:
        if id(operation) in ours:
            parts.append(str(id(operation)))
            continue
        config = {k: v for k, v in operation.get_config().items() if k != "name"}
        weights = [id(variable) for variable in getattr(operation, "weights", ())]
        known = json.dumps(config, default=repr, sort_keys=True)
        parts.append(f"{type(operation).__qualname__} {known} {weights}")
    return "\n".join([*parts, *map(str, split.sizes)])


class FrozenStates:
    """The states of rows at a cut; each row is computed once.

    Args:
        split: The cut; the backbone must have the precision of the training.

    Attributes:
        split: The cut.
        folder: Stores the states computed from now on; None keeps them in memory.
    """

    def __init__(self, split: Split) -> None:
        self.folder: Path | None = None
        self.split = split
        self._names, self._per_token = split.names, split.per_token
        self._inputs = list(split.prefix.input)
        self._layers = FrozenLayers(split)
        self._parts: list[StateExamples] = []
        self._known: dict[bytes, tuple[int, int]] = {}

    def size(self, examples: Examples) -> int:
        """Returns the bytes of the states of some rows."""
        return self._layers.size(examples)

    def add(self, examples: Examples) -> None:
        """Computes the states of those rows that have none yet."""
        keys = self._keys(examples)
        new = [row for row, key in enumerate(keys) if key not in self._known]
        if not new:
            return
        missing = examples.select(np.array(new)) if len(new) < len(keys) else examples
        place = self.folder and self.folder / str(len(self._parts))
        for row, index in enumerate(new):
            self._known[keys[index]] = len(self._parts), row
        self._parts.append(self._layers.states(missing, place))

    def find(self, examples: Examples, split: Split) -> StateExamples | None:
        """Returns rows with their states in place of ids; None if one is unknown.

        Args:
            examples: The rows.
            split: The cut of the network that will read the states. It may call them
                by other names than the network that computed them.
        """
        keys = self._keys(examples)
        if not all(key in self._known for key in keys):
            return None
        places = [self._known[key] for key in keys]
        sequences: dict[str, Sequence[Any]] = {
            name: values
            for name, values in examples.sequences.items()
            if name in split.rest.input or name not in self._inputs
        }
        values, padding = dict(examples.values), dict(examples.padding)
        for ours, name, per_token in zip(
            self._names, split.names, self._per_token, strict=True
        ):
            if per_token:
                sequences[name] = [
                    self._parts[part].sequences[ours][row] for part, row in places
                ]
                padding[name] = 0
            else:
                rows = [self._parts[part].values[ours][row] for part, row in places]
                values[name] = np.stack(rows)
        return StateExamples(
            sequences, values, padding, sources=examples.sources, sizes=examples.lengths
        )

    def _keys(self, examples: Examples) -> list[bytes]:
        """Returns what each row's states depend on, as a digest."""
        names = [name for name in self._inputs if name in examples.sequences]
        columns = [examples.sequences[name] for name in names]
        return [
            hashlib.blake2b(
                b"|".join(np.asarray(ids, "int32").tobytes() for ids in row),
                digest_size=16,
            ).digest()
            for row in zip(*columns, strict=True)
        ]

    def over(self, whole: Forward, split: Split) -> Callable[..., Any]:
        """Returns a forward pass that starts at the states of rows that have some.

        Args:
            whole: The forward pass of the whole network.
            split: The cut of that network.
        """
        sample = Batches(self._parts[0], 1).batch(np.array([0]))
        forms = {
            name: ((None, *([None] * per_token), *size), sample[ours].dtype)
            for ours, name, per_token, size in zip(
                self._names, split.names, split.per_token, split.sizes, strict=True
            )
        }
        rest = whole.over(split.rest, forms)

        def forward(batches: Batches, *arguments: Any) -> Any:
            states = self.find(batches.examples, split)
            if states is None:
                return whole(batches, *arguments)
            return rest(Batches(states, batches.batch_size), *arguments)

        return forward


def states_with_room(
    split: Split, examples: Sequence[Examples], folder: Path, *, required: bool
) -> tuple[FrozenStates | None, str]:
    """Returns the store for the states of some rows, or None, and a note for the user.

    Args:
        split: The cut.
        examples: The rows that will be asked for.
        folder: Stores the states when memory is short.
        required: Lets the disk refuse, instead of returning None.
    """
    store = FrozenStates(split)
    size, rows = sum(map(store.size, examples)), sum(map(len, examples))
    in_memory = size <= _MEMORY_SHARE * available_memory()
    if not (in_memory or required or size <= _DISK_SHARE * _free(folder)):
        return None, (
            f"the states of the frozen layers of {rows:,} rows, {_bytes(size)}, have "
            "no room in memory or on the disk: each epoch computes them"
        )
    store.folder = None if in_memory else folder
    return store, (
        f"frozen layers ({split.kernels:.0%} of the kernels) are computed once for "
        f"{rows:,} rows: {_bytes(size)} in {'memory' if in_memory else folder}"
    )


def remove_states(folder: Path, *, others: bool) -> None:
    """Removes the states that are kept on the disk.

    Args:
        folder: The folder of this process.
        others: Whether to remove those of other processes as well, such as one that
            was killed.
    """
    shutil.rmtree(folder.parent if others else folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # when it is empty


def available_memory() -> int:
    """Returns the bytes that can be had without swapping."""
    import psutil

    return psutil.virtual_memory().available


def free_space(folder: Path) -> int:
    """Returns the bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def _free(folder: Path) -> int:
    """Returns the bytes that are free where a folder will be."""
    there = next(parent for parent in folder.parents if parent.is_dir())
    return free_space(there)


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
