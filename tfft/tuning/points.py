"""The points of a search space: listed in order, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras_tuner.engine.hyperparameters import Float, Int

Values = dict[str, Any]


def is_continuous(entry: Any) -> bool:
    """Returns whether an entry of KerasTuner's space is a continuous range."""
    return isinstance(entry, Float) and entry.step is None


def is_active(entry: Any, values: Mapping[str, Any]) -> bool:
    """Returns whether the conditions of an entry hold for the values of others."""
    return all(condition.is_active(values) for condition in entry.conditions)


def values_of(entry: Any, points: int) -> list[Any]:
    """Returns the values of an entry in order, without duplicates.

    Args:
        entry: An entry of KerasTuner's `HyperParameters`.
        points: Number of values to take from a continuous range, both ends included.
            They are evenly spaced, on a logarithmic scale if the range is sampled on
            one.
    """
    if is_continuous(entry):
        spaced = np.geomspace if entry.sampling == "log" else np.linspace
        inner = spaced(entry.min_value, entry.max_value, points)[1:-1]
        # 0.225 instead of 0.22499999999999998: people read and copy these values.
        return [entry.min_value, *(float(f"{x:.12g}") for x in inner), entry.max_value]
    if isinstance(entry, Int) and entry.step is None:
        return list(range(entry.min_value, entry.max_value + 1))
    return list(dict.fromkeys(entry.values))


def combinations(
    space: Sequence[Any], choices: Callable[[Any], Sequence[Any]]
) -> Iterator[Values]:
    """Yields every combination once, the last entry varying fastest.

    A combination has no value for an entry whose conditions are not satisfied.

    Args:
        space: Entries of KerasTuner's `HyperParameters`, parents first.
        choices: Returns the values of an entry.
    """
    if not space:
        yield {}
        return
    yield from _from(0, {}, space, choices)


def _from(
    index: int,
    values: Values,
    space: Sequence[Any],
    choices: Callable[[Any], Sequence[Any]],
) -> Iterator[Values]:
    if index == len(space):
        yield values
    elif not is_active(space[index], values):
        yield from _from(index + 1, values, space, choices)
    else:
        name = space[index].name
        for value in choices(space[index]):
            yield from _from(index + 1, {**values, name: value}, space, choices)


def count(space: Sequence[Any], choices: Callable[[Any], Sequence[Any]]) -> int:
    """Returns the number of combinations without listing them.

    Args:
        space: Entries of KerasTuner's `HyperParameters`, parents first.
        choices: Returns the values of an entry.
    """
    parents = {one.name for entry in space for one in entry.conditions}

    def rest(index: int, values: Values) -> int:
        if index == len(space):
            return 1
        entry = space[index]
        if not is_active(entry, values):
            return rest(index + 1, values)
        found = choices(entry)
        if entry.name not in parents:
            return len(found) * rest(index + 1, values)
        return sum(rest(index + 1, {**values, entry.name: one}) for one in found)

    return rest(0, {})
