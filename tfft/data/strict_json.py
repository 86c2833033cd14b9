"""Unambiguous JSON: no duplicate keys, no NaN."""

from __future__ import annotations

import json
import math
from typing import Any

from tfft.core.errors import DataError, shorten


def parse_object(line: str, where: str) -> dict[str, Any]:
    """Returns the JSON object on a line.

    Args:
        line: The text.
        where: File and line, for the message.

    Raises:
        DataError: For anything but an object, a duplicate key, a number that is not
            finite, or nesting that is too deep for Python.

    >>> parse_object('{"text": "NA", "label": null}', "news.jsonl:1")
    {'text': 'NA', 'label': None}
    """
    fix = "write one JSON object per line"
    try:
        value = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        near = shorten(line[max(0, error.pos - 20) : error.pos + 20])
        what = f"invalid JSON at column {error.colno}: {error.msg}, near {near}"
        raise DataError(what, where=where, fix=fix) from error
    except ValueError as error:
        raise DataError(f"{error}", where=where, fix="correct the value") from error
    except RecursionError as error:
        raise DataError("JSON is nested too deeply", where=where, fix=fix) from error
    if not isinstance(value, dict):
        what = f"line holds {shorten(value)}"
        raise DataError(what, where=where, expected="a JSON object", fix=fix)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {shorten(twice)} appears twice in one object")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_constant=_finite, parse_float=_finite
)
