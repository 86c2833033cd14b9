"""Configuration classes: frozen, keyword-only, typed, unknown keys refused."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, dataclass_transform

from tfft.core.errors import ConfigError, nearest, one_of, shorten

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def configuration(aliases: Mapping[str, str] | None = None) -> Callable[[type], type]:
    """Makes a class a frozen dataclass whose constructor explains its refusals.

    Every value is converted to the annotated type, so that text from a command
    line and a number from Python end up the same.

    Args:
        aliases: Other spellings of the fields, such as PEFT's, to our names.

    Returns:
        The class decorator.

    >>> @configuration(aliases={"r": "rank"})
    ... class Method:
    ...     rank: int = 8
    >>> Method(r="4").rank
    4
    >>> Method(rnak=4)
    Traceback (most recent call last):
    tfft.core.errors.ConfigError: unknown option rnak=4 · Method · expected one of: rank · fix: did you mean "rank"?
    """  # noqa: E501 (the doctest shows the message on one line, as users see it)

    def decorate(cls: type) -> type:
        cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        assign = cls.__init__

        def construct(self: object, **options: Any) -> None:
            assign(self, **_convert_all(cls, options, aliases or {}))

        cls.__init__ = construct
        return cls

    return decorate


def field_types(cls: type) -> dict[str, Any]:
    """Returns the annotated type of each field of a configuration class."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def to_dict(config: object) -> dict[str, Any]:
    """Returns the fields of a configuration as plain values for JSON."""
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
    }


def require(condition: bool, config: object, field: str, expected: str) -> None:
    """Raises unless the field of a configuration has a value that makes sense.

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


def _convert_all(cls: type, options: Mapping[str, Any], aliases: Mapping[str, str]):
    types_by_name = field_types(cls)
    converted: dict[str, Any] = {}
    for given, value in options.items():
        name = aliases.get(given, given)
        if name not in types_by_name:
            raise ConfigError(
                f"unknown option {given}={shorten(value)}",
                where=cls.__name__,
                expected=one_of(types_by_name) if types_by_name else "no options",
                fix=nearest(given, [*types_by_name, *aliases]) or "leave it out",
            )
        if name in converted:
            raise ConfigError(
                f"{name} is given twice, also as {given}={shorten(value)}",
                where=cls.__name__,
                fix=f"keep {name} only",
            )
        converted[name] = convert(value, types_by_name[name], f"{cls.__name__}.{given}")
    return _check_required(cls, converted)


def _check_required(cls: type, converted: dict[str, Any]) -> dict[str, Any]:
    for field in dataclasses.fields(cls):
        missing = (
            field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
            and field.name not in converted
        )
        if missing:
            raise ConfigError(
                f"{field.name} is not given",
                where=cls.__name__,
                fix=f"add {field.name}",
            )
    return converted


def convert(value: Any, annotation: Any, where: str) -> Any:
    """Returns the value as the annotated type.

    Args:
        value: A Python value, or text from a command line.
        annotation: A type: `int`, `float`, `str`, `bool`, `Literal`, `None`,
            a tuple of one type with `...`, a `Mapping` of names to one type, a
            union of those, or anything else, which takes the value as it is.
        where: What the error calls the place.

    Raises:
        ConfigError: When the value is of another type.

    >>> convert("1e-5", float, "learning_rate")
    1e-05
    >>> convert("query, value", tuple[str, ...], "target")
    ('query', 'value')
    >>> convert("query=4, ffn.up=2", Mapping[str, int], "rank_pattern")
    {'query': 4, 'ffn.up': 2}
    """
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, annotation, where)
    if origin is Literal:
        return _convert_literal(value, typing.get_args(annotation), where)
    if origin is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise _wrong_type(value, "a list", where)
        inner = typing.get_args(annotation)[0]
        return tuple(
            convert(item.strip() if isinstance(item, str) else item, inner, where)
            for item in items
        )
    if origin is Mapping:
        return _convert_mapping(value, typing.get_args(annotation)[1], where)
    if annotation in _CONVERTERS:
        return _CONVERTERS[annotation](value, where)
    return value


def _convert_mapping(value: Any, inner: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        pairs = [item.partition("=") for item in value.split(",") if item.strip()]
        value = {name.strip(): given.strip() for name, _, given in pairs}
    if not isinstance(value, Mapping):
        raise _wrong_type(value, "names with values, as a=1,b=2", where)
    return {str(key): convert(item, inner, where) for key, item in value.items()}


def _convert_union(value: Any, annotation: Any, where: str) -> Any:
    members = typing.get_args(annotation)
    if value is None and type(None) in members:
        return None
    for member in members:
        try:
            return convert(value, member, where)
        except ConfigError:
            continue
    names = [_type_name(member) for member in members]
    raise _wrong_type(value, " or ".join(names), where)


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is tuple:
        inner = typing.get_args(annotation)[0]
        return f"{_type_name(inner)} or several, with commas between,"
    return _TYPE_NAMES.get(annotation, str(annotation))


def _convert_literal(value: Any, allowed: tuple, where: str) -> Any:
    if value in allowed:
        return value
    names = [str(item) for item in allowed]
    fix = nearest(value, names) or "choose one of them"
    raise ConfigError(
        f"{shorten(value)} is not allowed", where=where, expected=one_of(names), fix=fix
    )


def _to_int(value: Any, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        if isinstance(value, str):
            return int(value)
    except ValueError:
        pass
    raise _wrong_type(value, _TYPE_NAMES[int], where)


def _to_float(value: Any, where: str) -> float:
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise _wrong_type(value, _TYPE_NAMES[float], where)


def _to_bool(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise _wrong_type(value, _TYPE_NAMES[bool], where)


def _to_str(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise _wrong_type(value, _TYPE_NAMES[str], where)


def _to_none(value: Any, where: str) -> None:
    if value is None:
        return
    raise _wrong_type(value, _TYPE_NAMES[type(None)], where)


def _wrong_type(value: Any, expected: str, where: str) -> ConfigError:
    return ConfigError(
        f"{shorten(value)} has the wrong type",
        where=where,
        expected=expected,
        fix=f"give {expected}",
    )


_CONVERTERS: dict[Any, Callable[[Any, str], Any]] = {
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    str: _to_str,
    type(None): _to_none,
}

_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "nothing",
}


def plain_object(config: Any) -> dict[str, Any]:
    """Returns a task or a method as its name and its options."""
    return {"name": config.name, **to_dict(config)}
