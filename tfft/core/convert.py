"""Converts the values of options to their annotated types."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tfft.core.errors import ConfigError, nearest, one_of, shorten

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def convert(value: Any, annotation: Any, where: str) -> Any:
    """Returns the value as the annotated type.

    Args:
        value: A Python value, or text from a command line.
        annotation: `int`, `float`, `str`, `bool`, `Literal`, `None`, a `Sequence` or
            a `tuple` with `...` of one type (both give a tuple), a `Mapping` of names
            to one type, or a union of those. With any other type the value stays
            as it is.
        where: The option, for the error.

    Raises:
        ConfigError: When the value has another type.

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
    if origin in (tuple, Sequence):
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
        raise _wrong_type(value, "names with values, such as a=1,b=2", where)
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
    if typing.get_origin(annotation) in (tuple, Sequence):
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
