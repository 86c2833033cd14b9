"""Assigns Hugging Face tensors to a backbone; one that does not fit is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfft.compute.layers import variables_by_path
from tfft.core.errors import DataError
from tfft.models.architecture import Architecture
from tfft.models.places import Weight

_SHOWN = 10
_OLD_NAMES = ((".gamma", ".weight"), (".beta", ".bias"))


class LoadReport(NamedTuple):
    """The leftover tensors of a checkpoint, and the places it has no weights for.

    Attributes:
        head: Tensors of a task's head, by name.
        aside: Names of tensors that tfft knows and does not use, such as the head of
            a masked language model.
        fresh: Names of the places that the checkpoint has no weights for.
    """

    head: dict[str, np.ndarray]
    aside: tuple[str, ...]
    fresh: tuple[str, ...]


def assign_checkpoint(
    backbone: Any,
    architecture: Architecture,
    tensors: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
) -> LoadReport:
    """Assigns the tensors of a Hugging Face checkpoint to a backbone.

    Checks every tensor before it assigns the first.

    Args:
        backbone: A built backbone of that architecture.
        architecture: Maps tensor names to the backbone's variables.
        tensors: The checkpoint's tensors, with or without the model's prefix.
        config: The content of `config.json`.

    Returns:
        The tensors left over and the places without weights, where that is allowed.

    Raises:
        DataError: For missing, unknown or unsuitable tensors; lists up to ten.
    """
    variables = variables_by_path(backbone)
    found = architecture.adapt(_by_plain_name(tensors, architecture.prefixes), config)
    wanted, fresh = _wanted(backbone, architecture, found)
    problems = []
    for weight in wanted:
        shape = tuple(variables[weight.path].shape)
        problems.extend(_misfits(weight, shape, found.get(weight.theirs)))
    left = found.keys() - {weight.theirs for weight in wanted}
    head, aside, unknown = _sort_out(sorted(left), found, architecture)
    problems.extend(unknown)
    if problems:
        raise DataError(
            f"the weights do not fit: {'; '.join(problems[:_SHOWN])}"
            + (f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""),
            expected="the tensors that config.json describes",
            fix="check that config.json and weights belong together",
        )
    for weight in wanted:
        variable = variables[weight.path]
        value = weight.to_keras(found[weight.theirs], tuple(variable.shape))
        variable.assign(value)
    return LoadReport(head, tuple(aside), tuple(fresh))


def _wanted(
    backbone: Any, architecture: Architecture, found: Mapping[str, np.ndarray]
) -> tuple[list[Weight], list[str]]:
    """Returns the weights to load, and the optional places without weights."""
    wanted: list[Weight] = []
    fresh: list[str] = []
    for place in architecture.places_of(backbone):
        weights = list(place.weights())
        absent = not any(weight.theirs in found for weight in weights)
        if absent and place.name in architecture.optional:
            fresh.append(place.name)
        else:
            wanted.extend(weights)
    return wanted, fresh


def _by_plain_name(
    tensors: Mapping[str, np.ndarray], prefixes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Returns the tensors by name, without prefixes.

    Raises:
        DataError: When a tensor occurs both with and without its prefix.
    """
    found: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        plain = _plain_name(name, prefixes)
        if plain in found:
            raise DataError(
                f"the weights hold {plain} under two names, one of them {name}",
                expected="each tensor under one name",
                fix="save the model again",
            )
        found[plain] = value
    return found


def _plain_name(name: str, prefixes: Sequence[str]) -> str:
    prefix = next((one for one in prefixes if name.startswith(one)), "")
    name = name.removeprefix(prefix)
    for old, new in _OLD_NAMES:
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def _sort_out(
    names: Iterable[str], found: Mapping[str, np.ndarray], architecture: Architecture
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Returns a head's tensors, the names of unused ones, and the problems."""
    head: dict[str, np.ndarray] = {}
    aside: list[str] = []
    problems: list[str] = []
    for name in names:
        if _fits(name, architecture.heads):
            head[name] = found[name]
        elif _fits(name, architecture.aside):
            aside.append(name)
        elif name in architecture.copies:
            original = architecture.copies[name]
            if not np.array_equal(found[name], found.get(original, np.nan)):
                problems.append(f"{name} differs from {original}, which it is tied to")
        elif not _fits(name, architecture.unused):
            problems.append(f"{name} is not known")
    return head, aside, problems


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _misfits(
    weight: Weight, shape: tuple[int, ...], value: np.ndarray | None
) -> Iterator[str]:
    """Yields the reasons why a tensor does not fit a variable of the given shape."""
    name, expected = weight.theirs, weight.tensor_shape(shape)
    if value is None:
        yield f"{name} is missing"
    elif value.shape != expected:
        yield f"{name} has shape {value.shape}, not {expected}"
    elif value.dtype.kind not in "fV":
        yield f"{name} holds {value.dtype} values"
    elif not np.isfinite(value).all():
        yield f"{name} holds values that are not finite"
