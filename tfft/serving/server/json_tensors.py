"""Converts the JSON of TF Serving's REST API to arrays and back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.core.errors import shorten
from tfft.serving.server.refusals import InvalidRequestError, ModelFailureError
from tfft.serving.server.signatures import Arrays, Signature, rows_of

_MOST_DIMENSIONS = 32
# Outputs with this ending are bytes, not text.
_BINARY = "_bytes"


def parse(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in a request's body.

    Raises:
        InvalidRequestError: For anything but a JSON object in UTF-8.
    """
    try:
        found = json.loads(body)
    except RecursionError as error:
        raise InvalidRequestError("the JSON is nested too deeply") from error
    except ValueError as error:
        raise InvalidRequestError(f"the body is no JSON in UTF-8: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequestError(
            f"the body is {_kind(found)}",
            expected='an object, as {"instances": [...]}',
        )
    return found


def is_by_row(request: Mapping[str, Any]) -> bool:
    """Returns whether a request has `instances` rather than `inputs`.

    Raises:
        InvalidRequestError: For both, or neither.
    """
    if ("instances" in request) == ("inputs" in request):
        given = "both" if "inputs" in request else "neither"
        raise InvalidRequestError(
            f"{given} of instances and inputs given", expected="one of them"
        )
    return "instances" in request


def arrays_of(request: Mapping[str, Any], signature: Signature) -> Arrays:
    """Returns the arrays of a predict request by input name.

    Raises:
        InvalidRequestError: For values that do not fit the input's type.
    """
    columns = _columns(request, signature)
    signature.check_names(columns)
    return {
        name: _array(name, values, signature.inputs[name].dtype)
        for name, values in columns.items()
    }


def _columns(request: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Returns the values of each input."""
    names = list(signature.inputs)
    if not is_by_row(request):
        inputs = request["inputs"]
        if isinstance(inputs, dict) and set(inputs) != {"b64"}:
            return inputs
        return {_only(names): inputs}
    rows = request["instances"]
    if not isinstance(rows, list) or not rows:
        raise InvalidRequestError(
            f"instances is {shorten(rows)}", expected="a list with a value for each row"
        )
    if not isinstance(rows[0], dict) or set(rows[0]) == {"b64"}:
        return {_only(names): rows}
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != set(rows[0]):
            raise InvalidRequestError(
                f"instance {number} is {shorten(row)}",
                expected=f"an object with {', '.join(rows[0])}, as instance 0 is",
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise InvalidRequestError(
            "a value without the name of its input",
            expected=f"an object with {', '.join(names)}",
        )
    return names[0]


def _array(name: str, values: Any, dtype: tf.DType) -> np.ndarray:
    """Returns nested lists as an array.

    Raises:
        InvalidRequestError: For rows of unequal length or values of the wrong type.
    """
    leaf = _leaf(dtype)
    shape: list[int] = []
    value = values
    while isinstance(value, list) and len(shape) < _MOST_DIMENSIONS:
        shape.append(len(value))
        value = value[0] if value else None
    flat: list[Any] = []

    def collect(value: Any, depth: int) -> None:
        if depth < len(shape):
            if not isinstance(value, list) or len(value) != shape[depth]:
                size = len(value) if isinstance(value, list) else _kind(value)
                raise InvalidRequestError(
                    f"input {name!r} is ragged: {size} at depth {depth}",
                    expected=f"a list of {shape[depth]} everywhere",
                )
            for item in value:
                collect(item, depth + 1)
        else:
            flat.append(leaf(value))

    try:
        collect(values, 0)
        return np.array(flat, dtype.as_numpy_dtype).reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(
            f"input {name!r}: {error}", expected=f"values of type {dtype.name}"
        ) from error


def _leaf(dtype: tf.DType) -> Callable[[Any], Any]:
    """Returns a function that checks and converts a value."""
    if dtype == tf.string:
        return to_bytes
    kinds: tuple[type, ...] = (int, float)
    if dtype.is_bool:
        kinds = (bool,)
    elif dtype.is_integer:
        kinds = (int,)

    def check(value: Any) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) != dtype.is_bool):
            raise TypeError(f"{shorten(value)} is {_kind(value)}")
        return value

    return check


def to_bytes(value: Any) -> bytes:
    """Returns the bytes of a text, or of an object that holds them in base 64.

    >>> to_bytes("abc"), to_bytes({"b64": "YWJj"})
    (b'abc', b'abc')
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and set(value) == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (TypeError, binascii.Error) as error:
            raise ValueError(f"{shorten(value)} is not in base 64") from error
    raise TypeError(f"{shorten(value)} is {_kind(value)}")


def answer_of(arrays: Arrays, by_row: bool, rows: int | None) -> dict[str, Any]:
    """Returns the response to a predict request.

    Args:
        arrays: The outputs by name.
        by_row: Whether the request had `instances`.
        rows: The number of its rows.

    Raises:
        ModelFailureError: For outputs with another number of rows.
    """
    values = {name: _plain(name, array) for name, array in arrays.items()}
    only = next(iter(values.values())) if len(values) == 1 else None
    if not by_row:
        return {"outputs": values if only is None else only}
    if rows_of(arrays) != rows:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ModelFailureError(
            f"outputs of shapes {shapes} for {rows} rows",
            expected="a row of each output for each row",
            fix="ask with inputs in place of instances",
        )
    if only is not None:
        return {"predictions": only}
    lists = zip(*values.values(), strict=True)
    return {"predictions": [dict(zip(values, row, strict=True)) for row in lists]}


def _plain(name: str, array: np.ndarray) -> Any:
    """Returns an array as nested lists of JSON values."""
    if array.dtype != object:
        return array.tolist()
    binary = name.endswith(_BINARY)
    try:
        flat = [_encoded(one) if binary else one.decode() for one in array.flat]
    except UnicodeDecodeError as error:
        raise ModelFailureError(
            f"output {name!r} is no text in UTF-8",
            fix=f"ask by gRPC, or export it as {name}{_BINARY}",
        ) from error
    plain = np.empty(array.size, object)
    plain[:] = flat
    return plain.reshape(array.shape).tolist()


def _encoded(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    names |= {bool: "a boolean", int: "a whole number", float: "a number"}
    return names[type(value)]
