"""Configuration classes: frozen, keyword-only, typed; unknown options are errors."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, dataclass_transform

from tfft.core.convert import convert
from tfft.core.docstrings import descriptions, with_descriptions
from tfft.core.errors import ConfigError, nearest, one_of, shorten
from tfft.core.foreign_names import foreign_name_fix

Class = TypeVar("Class", bound=type)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def configuration(
    aliases: Mapping[str, str] | None = None,
) -> Callable[[Class], Class]:
    """Turns a class into a frozen dataclass whose constructor explains its errors.

    The constructor converts each value to the annotated type, so text from a command
    line and a number from Python give the same object. `inspect.signature` and `help`
    show every field, inherited ones too.

    Args:
        aliases: Other names for the fields, such as PEFT's, mapped to ours.

    Returns:
        The class decorator.

    >>> @configuration(aliases={"r": "rank"})
    ... class Method:
    ...     rank: int = 8
    >>> Method(r="4").rank
    4
    >>> inspect.signature(Method)
    <Signature (*, rank: int = 8)>
    >>> Method(rnak=4)
    Traceback (most recent call last):
    tfft.core.errors.ConfigError: unknown option rnak=4 · Method · expected one of: rank · fix: did you mean "rank"?
    """  # noqa: E501 (the doctest shows the message on one line, as users see it)

    def decorate(cls: Class) -> Class:
        cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        assign = cls.__init__

        def construct(self: object, **options: Any) -> None:
            assign(self, **_convert_all(cls, options))

        cls.__init__ = construct
        cls._aliases = dict(aliases or {})
        fields = parameters(cls)
        cls.__signature__ = inspect.Signature(fields)
        this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        construct.__signature__ = inspect.Signature([this, *fields])
        cls.__doc__ = with_descriptions(cls.__doc__, descriptions(cls))
        return cls

    return decorate


def accepts(
    config: Callable[Parameters, Any],
) -> Callable[[Callable[..., Result]], Callable[Parameters, Result]]:
    """Gives a function with `**options` the parameters of a configuration class.

    `inspect.signature` and `help` show the fields of the class with their types,
    defaults and descriptions. A type checker and an editor read the same parameters
    from the annotations above: to them the class is a function of its fields.
    The function itself is returned unchanged.

    Args:
        config: The configuration class.

    >>> @configuration()
    ... class Options:
    ...     rows: int = 3
    >>> @accepts(Options)
    ... def run(**options: Any) -> int:
    ...     return Options(**options).rows
    >>> inspect.signature(run), run(rows="4")
    (<Signature (*, rows: int = 3) -> int>, 4)
    """
    return also_accepts(config)


def also_accepts(config: Any) -> Callable[[Function], Function]:
    """Shows the fields of a configuration class instead of a function's `**options`.

    Like `accepts`, for a function that has parameters of its own as well. These come
    first. A type checker cannot see the fields: to it `**options` takes anything.

    Args:
        config: The configuration class.

    >>> @configuration()
    ... class Options:
    ...     rows: int = 3
    >>> @also_accepts(Options)
    ... def run(data: str, **options: Any) -> int:
    ...     return Options(**options).rows
    >>> inspect.signature(run)
    <Signature (data: str, *, rows: int = 3) -> int>
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function, eval_str=True)
        own = [
            one for one in signature.parameters.values() if one.kind != one.VAR_KEYWORD
        ]
        function.__signature__ = signature.replace(
            parameters=[*own, *parameters(config)]
        )
        function.__doc__ = with_descriptions(function.__doc__, descriptions(config))
        return function

    return decorate


def parameters(cls: type) -> list[inspect.Parameter]:
    """Returns the fields of a configuration class as parameters, required first."""
    types = field_types(cls)
    found = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=types[field.name],
        )
        for field in dataclasses.fields(cls)
    ]
    return sorted(found, key=lambda one: one.default is not inspect.Parameter.empty)


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """Returns the annotated type of each field of a configuration class."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def aliases_of(cls: type) -> dict[str, str]:
    """Returns the other names of a configuration class's fields, mapped to ours."""
    return cls._aliases


def to_dict(config: object) -> dict[str, Any]:
    """Returns the fields of a configuration as plain values for JSON."""
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
    }


def plain_object(config: Any) -> dict[str, Any]:
    """Returns a task or a method as a dict of its name and its options."""
    return {"name": config.name, **to_dict(config)}


def require(condition: bool, config: object, field: str, expected: str) -> None:
    """Raises unless the value of a field is valid.

    Raises:
        ConfigError: With the value given and the values expected.
    """
    if not condition:
        value = getattr(config, field)
        raise ConfigError(
            f"{field}={shorten(value)} makes no sense",
            where=type(config).__name__,
            expected=expected,
            fix=f"change {field}",
        )


def _plain(value: object) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _convert_all(cls: type, options: Mapping[str, Any]) -> dict[str, Any]:
    types_by_name, aliases = field_types(cls), aliases_of(cls)
    converted: dict[str, Any] = {}
    for given, value in options.items():
        name = aliases.get(given, given)
        if name not in types_by_name:
            raise _unknown(cls, given, value)
        if name in converted:
            raise ConfigError(
                f"{name} is given twice, also as {given}={shorten(value)}",
                where=cls.__name__,
                fix=f"keep {name} only",
            )
        converted[name] = convert(value, types_by_name[name], f"{cls.__name__}.{given}")
    return _check_required(cls, converted)


def _unknown(cls: type, given: str, value: Any) -> ConfigError:
    known = list(field_types(cls))
    near = nearest(given, [*known, *aliases_of(cls)])
    return ConfigError(
        f"unknown option {given}={shorten(value)}",
        where=cls.__name__,
        expected=one_of(known) if known else "no options",
        fix=foreign_name_fix(given) or near or "leave it out",
    )


def _check_required(cls: type, converted: dict[str, Any]) -> dict[str, Any]:
    for field in dataclasses.fields(cls):
        if _default(field) is inspect.Parameter.empty and field.name not in converted:
            raise ConfigError(
                f"{field.name} is not given",
                where=cls.__name__,
                fix=f"add {field.name}",
            )
    return converted
