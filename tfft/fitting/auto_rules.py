"""Rules of thumb for method and settings, in the order in which they apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfft.core.errors import OutOfMemoryError

_FEW, _SOME, _MANY = 50, 1_000, 20_000
# A weight in float32; a weight that trains, with gradient, moments and best value.
_HELD, _TRAINED = 4, 24
_SMALL_MODEL, _ENOUGH_CORES = 50_000_000, 4
# Activations of a step take a few times the bytes of the weights; with less memory, a
# step is split.
_ROOM = 6


@dataclass(frozen=True)
class Facts:
    """The facts that the rules use.

    Attributes:
        rows: Number of training rows.
        parameters: Number of weights of the backbone.
        memory: Free bytes: of the GPU if there is one, otherwise of the host.
        cores: Number of CPU cores.
        accelerator: Whether there is a GPU or TPU.
    """

    rows: int
    parameters: int
    memory: int
    cores: int
    accelerator: bool


@dataclass(frozen=True)
class Recommendation:
    """Recommended options of `finetune`, and the reason.

    Attributes:
        options: The options by name; `method` is a mapping with its own options.
        reason: The reason in one sentence.
    """

    options: Mapping[str, Any]
    reason: str

    def __str__(self) -> str:
        """Returns the options and the reason."""
        said = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{said}: {self.reason}"


def choose(facts: Facts) -> Recommendation:
    """Returns the recommendation for some facts.

    Raises:
        OutOfMemoryError: When the weights alone do not fit into memory.

    >>> choose(Facts(500, 22_000_000, 8 * 10**9, 2, False)).options["method"]
    {'name': 'lora', 'rank': 4}
    """
    held = _HELD * facts.parameters
    if held > facts.memory:
        raise OutOfMemoryError(
            f"a model of {facts.parameters:,} weights takes {held / 1e9:.1f} GB",
            where="recommend",
            expected=f"at most the {facts.memory / 1e9:.1f} GB that are free",
            fix="choose a smaller model",
        )
    method, reason = _method(facts)
    options: dict[str, Any] = {"method": method}
    if method["name"] != "full":
        # Frozen layers need none, and without it they can be computed once.
        options["backbone_dropout"] = 0.0
    if facts.memory < _ROOM * held:
        options["batch_size"] = "auto"
        reason += "; memory is short, so each step is split into smaller ones"
    return Recommendation(options, reason)


def _method(facts: Facts) -> tuple[dict[str, Any], str]:
    rows = f"{facts.rows:,} rows"
    if facts.rows < _FEW:
        return {"name": "head"}, f"{rows} are too few to move more than the head"
    if facts.rows >= _MANY and _can_move_all(facts):
        return {"name": "full"}, (
            f"{rows} are enough to move all {facts.parameters:,} weights, and memory "
            "and processors are enough for it"
        )
    if facts.rows < _SOME:
        return {"name": "lora", "rank": 4}, (
            f"{rows} are few, so a small update of query and value is learned"
        )
    rank = 8 if facts.rows < _MANY else 16
    reason = f"{rows} are enough for an update of rank {rank} in every linear layer"
    if rank == 16:
        reason += ", and all weights would take more memory or time than there is"
    return {"name": "lora", "rank": rank, "target": "all-linear"}, reason


def _can_move_all(facts: Facts) -> bool:
    fits = _TRAINED * facts.parameters <= facts.memory / 2
    quick = facts.parameters <= _SMALL_MODEL and facts.cores >= _ENOUGH_CORES
    return fits and (facts.accelerator or quick)
