"""Distributions of the values of an option, and the conditions of its search."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfft.core import yaml
from tfft.core.errors import ConfigError, nearest, one_of, shorten


@dataclass(frozen=True)
class Distribution(abc.ABC):
    """The values that an option may have in a search.

    Attributes:
        conditions: Other options of the search, and those of their values with which
            this option is searched.
    """

    conditions: Mapping[str, tuple[Any, ...]] = field(
        default_factory=dict, kw_only=True
    )

    def when(self, **conditions: Any) -> Distribution:
        """Returns the distribution, limited to certain values of other options.

        Args:
            **conditions: Names of other options, each with a value or a list of values.

        >>> choice([4, 8]).when(method="lora").conditions
        {'method': ('lora',)}
        """
        added = {
            name: tuple(value) if isinstance(value, list | tuple) else (value,)
            for name, value in conditions.items()
        }
        return dataclasses.replace(self, conditions={**self.conditions, **added})

    def declare(self, space: Any, name: str) -> None:
        """Adds the option to KerasTuner's `HyperParameters`."""
        with contextlib.ExitStack() as stack:
            for parent, values in self.conditions.items():
                stack.enter_context(space.conditional_scope(parent, list(values)))
            self._declare(space, name)

    @abc.abstractmethod
    def _declare(self, space: Any, name: str) -> None:
        """Adds the option without its conditions."""

    def value(self, stored: Any) -> Any:
        """Returns the value of the option for the value that KerasTuner stores."""
        return stored


@dataclass(frozen=True)
class LogUniform(Distribution):
    """Numbers between two limits whose logarithm is uniformly distributed."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high)
        if self.low <= 0:
            raise _unusable(self, "numbers above 0")

    def _declare(self, space: Any, name: str) -> None:
        space.Float(name, self.low, self.high, sampling="log")


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniformly distributed numbers between two limits."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high)

    def _declare(self, space: Any, name: str) -> None:
        space.Float(name, self.low, self.high)


@dataclass(frozen=True)
class IntRange(Distribution):
    """Whole numbers between two limits, both included."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high)
        if any(type(one) is not int for one in (self.low, self.high, self.step)):
            raise _unusable(self, "whole numbers")
        if self.step < 1:
            raise _unusable(self, "a step of 1 or more")

    def _declare(self, space: Any, name: str) -> None:
        space.Int(name, self.low, self.high, step=self.step)


@dataclass(frozen=True)
class Choice(Distribution):
    """One of several values."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise _unusable(self, "one value or more")

    @property
    def plain(self) -> bool:
        """Whether KerasTuner can store the values as they are."""
        kinds = {type(value) for value in self.values}
        return len(kinds) == 1 and kinds <= {str, int, float, bool}

    def _declare(self, space: Any, name: str) -> None:
        numbers = {repr(value): number for number, value in enumerate(self.values)}
        known = self.values if self.plain else numbers.values()
        space.Choice(name, list(known), ordered=False)

    def value(self, stored: Any) -> Any:
        """Returns the value that KerasTuner stores; values of mixed types by index.

        It stores True and False as 1 and 0.
        """
        return self.values[self.values.index(stored) if self.plain else stored]


def log_uniform(low: float, high: float) -> LogUniform:
    """Returns the distribution of numbers whose logarithm is uniform.

    It suits learning rates.

    >>> log_uniform(1e-5, 1e-3).low
    1e-05
    """
    return LogUniform(low, high)


def uniform(low: float, high: float) -> Uniform:
    """Returns the uniform distribution of numbers between two limits.

    >>> uniform(0, 0.3).high
    0.3
    """
    return Uniform(low, high)


def int_range(low: int, high: int, step: int = 1) -> IntRange:
    """Returns the distribution of whole numbers between two limits, both included.

    >>> int_range(2, 8, step=2).step
    2
    """
    return IntRange(low, high, step)


def choice(values: Sequence[Any]) -> Choice:
    """Returns the choice of one of several values; the same as a list in a space.

    >>> choice(["query", "query,value"]).values
    ('query', 'query,value')
    """
    return Choice(tuple(values))


_KINDS = {
    "log_uniform": log_uniform,
    "uniform": uniform,
    "int_range": int_range,
    "choice": lambda *values: choice(values),
}
_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*")


def read_distribution(given: Any, where: str) -> Distribution:
    """Returns the distribution for an entry of a search space.

    Args:
        given: A distribution; a list of values; a mapping such as
            `{log_uniform: [1e-5, 1e-3]}`, optionally with the key `when`; or text such
            as `log_uniform(1e-5, 1e-3)` or `4, 8, 16`.
        where: The option, for errors.

    Raises:
        ConfigError: For any other value.

    >>> read_distribution("4, 8", "space.rank").values
    (4, 8)
    >>> read_distribution({"uniform": [0, 0.3]}, "space.dropout").high
    0.3
    """
    if isinstance(given, Distribution):
        return given
    if isinstance(given, list | tuple):
        return choice(given)
    if isinstance(given, Mapping):
        return _from_mapping(given, where)
    if isinstance(given, str):
        called = _CALL.fullmatch(given)
        kind, rest = called.groups() if called else ("choice", given)
        return _made(kind, yaml.load(f"[{rest}]", where), where)
    raise ConfigError(
        f"{shorten(given)} is not a set of values",
        where=where,
        expected="a list, or log_uniform, uniform, int_range or choice",
        fix=f"write [{given}] for one value",
    )


def _from_mapping(given: Mapping[str, Any], where: str) -> Distribution:
    rest = {key: value for key, value in given.items() if key != "when"}
    if len(rest) != 1:
        raise ConfigError(
            f"{shorten(dict(given))} names {len(rest)} distributions",
            where=where,
            expected=f"one of {', '.join(_KINDS)}, and optionally when",
            fix="write for example {uniform: [0, 0.3], when: {method: lora}}",
        )
    kind, values = next(iter(rest.items()))
    made = _made(kind, values if isinstance(values, list) else [values], where)
    return made.when(**given.get("when", {}))


def _made(kind: str, values: Sequence[Any], where: str) -> Distribution:
    if kind not in _KINDS:
        raise ConfigError(
            f"unknown distribution {shorten(kind)}",
            where=where,
            expected=one_of(_KINDS),
            fix=nearest(kind, _KINDS) or "choose one of them",
        )
    try:
        return _KINDS[kind](*values)
    except TypeError as error:
        raise ConfigError(
            f"{kind} of {shorten(list(values))}",
            where=where,
            expected="two numbers, the smaller first",
            fix=f"write for example {kind}(1, 2)",
        ) from error


def _check_range(given: Distribution, low: Any, high: Any) -> None:
    kinds = {type(low), type(high)}
    numbers = kinds <= {int, float}
    if not numbers or not all(map(math.isfinite, (low, high))) or low >= high:
        raise _unusable(given, "two numbers, the smaller first")


def _unusable(given: Distribution, expected: str) -> ConfigError:
    return ConfigError(
        f"{shorten(given)} makes no sense",
        where="space",
        expected=expected,
        fix="change it",
    )
