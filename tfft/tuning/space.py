"""The search space: which config each option belongs to, and how a point is decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.core.errors import ConfigError, nearest, one_of, shorten
from tfft.core.foreign_names import foreign_name_fix
from tfft.tuning.distributions import Choice, Distribution, read_distribution

METHOD, TASK = "method.", "task."


@dataclass(frozen=True)
class Space:
    """The options of a search by their full names.

    Attributes:
        entries: Distributions by full name: an option of `finetune`, or `method.` or
            `task.` and an option of the method or the task.
    """

    entries: Mapping[str, Distribution]

    def declared(self, tuner: Any) -> Any:
        """Returns the space as KerasTuner's `HyperParameters`.

        Args:
            tuner: The module `keras_tuner`.
        """
        found = tuner.HyperParameters()
        for name, one in self.entries.items():
            one.declare(found, name)
        return found

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values of a point by full name, only those that apply."""
        plain = {
            name: one.value(stored[name])
            for name, one in self.entries.items()
            if name in stored
        }
        return {name: v for name, v in plain.items() if self._applies(name, plain)}

    def _applies(self, name: str, values: Mapping[str, Any]) -> bool:
        return all(
            parent in values
            and values[parent] in allowed
            and self._applies(parent, values)
            for parent, allowed in self.entries[name].conditions.items()
        )

    @property
    def largest(self) -> dict[str, float]:
        """The largest value of each numeric option of the method."""
        return {
            name.removeprefix(METHOD): _largest(self.entries[name])
            for name in self.numeric
            if name.startswith(METHOD)
        }

    @property
    def numeric(self) -> list[str]:
        """The names of the options whose values are numbers."""
        return [name for name, one in self.entries.items() if _is_numeric(one)]


def _is_numeric(one: Distribution) -> bool:
    if not isinstance(one, Choice):
        return True
    return all(type(value) in (int, float) for value in one.values)


def _largest(one: Any) -> float:
    return max(one.values) if isinstance(one, Choice) else one.high


def read_space(
    given: Any,
    options: Sequence[str],
    methods: Mapping[str, Sequence[str]],
    task: Sequence[str],
) -> Space:
    """Returns the search space for a mapping.

    A plain name is an option of `finetune`, or else of the method. `method.rank` and
    `task.max_length` are explicit. An option that only some methods have is searched
    with those only.

    Args:
        given: Distributions by name.
        options: The option names of `finetune`.
        methods: The option names of each method of the search.
        task: The option names of the task.

    Raises:
        ConfigError: For an empty space, an unknown name, or a condition that can never
            hold.
    """
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(
            f"space={shorten(given)}",
            expected="names of options with the values to search",
            fix="for example space={'learning_rate': [1e-4, 1e-3]}",
        )
    read = {k: read_distribution(v, f"space.{k}") for k, v in given.items()}
    names = {key: _full_name(key, options, methods, task) for key in read}
    entries = {names[key]: one for key, one in read.items()}
    if len(entries) < len(read):
        raise ConfigError(
            "an option is in the space twice",
            where="space",
            fix="keep one of its names",
        )
    entries = {
        name: _conditioned(name, one, names, entries, methods)
        for name, one in entries.items()
    }
    return Space(dict(sorted(entries.items(), key=lambda item: _depth(item, entries))))


def _depth(item: tuple[str, Distribution], entries: Mapping[str, Distribution]) -> int:
    """Returns the sort key: KerasTuner needs an option after those it depends on."""
    return 1 + max(
        (_depth((one, entries[one]), entries) for one in item[1].conditions), default=0
    )


def _full_name(
    key: str,
    options: Sequence[str],
    methods: Mapping[str, Sequence[str]],
    task: Sequence[str],
) -> str:
    of_methods = sorted({name for names in methods.values() for name in names})
    if key in options or (key.removeprefix(METHOD) in of_methods and METHOD in key):
        return key
    if key in of_methods:
        return METHOD + key
    if key.startswith(TASK) and key.removeprefix(TASK) in task:
        return key
    known = [*options, *of_methods, *(TASK + name for name in task)]
    raise ConfigError(
        f"unknown option {shorten(key)}",
        where="space",
        expected=f"an option of finetune, of {' or '.join(methods)}, or of the task",
        fix=foreign_name_fix(key)
        or nearest(key, known)
        or f"choose {one_of(of_methods)}",
    )


def _conditioned(
    name: str,
    one: Distribution,
    names: Mapping[str, str],
    entries: Mapping[str, Distribution],
    methods: Mapping[str, Sequence[str]],
) -> Distribution:
    """Returns the distribution with full names and the methods that have the option."""
    conditions = {}
    for parent, values in one.conditions.items():
        full = names.get(parent, parent)
        if full not in entries or full == name:
            raise ConfigError(
                f"{name} depends on {shorten(parent)}, which is not searched",
                where="space",
                expected=f"another option of the space ({', '.join(entries)})",
                fix="add it to the space, or leave the condition out",
            )
        _check_condition(name, full, entries[full], values)
        conditions[full] = values
    if name.startswith(METHOD) and "method" in entries and "method" not in conditions:
        having = [m for m, own in methods.items() if name.removeprefix(METHOD) in own]
        if len(having) < len(methods):
            conditions["method"] = tuple(having)
    return dataclasses.replace(one, conditions=conditions)


def _check_condition(
    name: str, parent: str, searched: Distribution, values: Sequence[Any]
) -> None:
    """Raises for a condition that can never hold, and for one on a range."""
    if not isinstance(searched, Choice) or not searched.plain:
        raise ConfigError(
            f"{name} depends on {parent}, which is not a list of values of one type",
            where="space",
            expected="conditions on a list of values",
            fix=f"give {parent} as a list",
        )
    for value in values:
        if value not in searched.values:
            raise ConfigError(
                f"{parent} never has the value {shorten(value)}",
                where=f"space.{name}",
                expected=one_of(map(str, searched.values)),
                fix="change the condition",
            )


def changes(
    values: Mapping[str, Any], method: Mapping[str, Any], task: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the options of `finetune` at a point of the space.

    Args:
        values: The values of the point by full name.
        method: Name and options of the method given outside the space.
        task: Name and options of the task.

    >>> changes({"learning_rate": 0.1, "method.rank": 4}, {"name": "lora"}, {})
    {'learning_rate': 0.1, 'method': {'name': 'lora', 'rank': 4}}
    """
    found = {name: value for name, value in values.items() if "." not in name}
    own = _under(METHOD, values)
    if own or "method" in found:
        chosen = found.get("method", method["name"])
        base = method if chosen == method["name"] else {"name": chosen}
        found["method"] = {**base, **own}
    own = _under(TASK, values)
    if own:
        found["task"] = {**task, **own}
    return found


def _under(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }
