"""Converts TensorProto to arrays and back, after checking the claimed sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.serving.server.refusals import InvalidRequestError, TooLargeError
from tfft.serving.server.signatures import Arrays, Signature

# A message of a few bytes may claim any shape.
_MAX_ELEMENTS = 2**24


def arrays_of(protos: Mapping[str, Any], signature: Signature) -> Arrays:
    """Returns the arrays of a request's tensors.

    Args:
        protos: TensorProto by input name.
        signature: The signature that takes them.

    Raises:
        InvalidRequestError: For unknown names, and for tensors whose values and
            shape do not match.
        TooLargeError: For a shape with more than 2**24 elements.
    """
    signature.check_names(protos)
    return {name: _array(name, proto) for name, proto in protos.items()}


def _array(name: str, proto: Any) -> np.ndarray:
    sizes = [dimension.size for dimension in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise InvalidRequestError(
            f"input {name!r} is of shape {sizes or 'unknown'}", expected="whole sizes"
        )
    if math.prod(sizes) > _MAX_ELEMENTS:
        raise TooLargeError(
            f"input {name!r} has {math.prod(sizes)} elements",
            expected=f"at most {_MAX_ELEMENTS}",
        )
    given = _count(proto)
    # TensorFlow would repeat the last value and answer a row twice.
    if not proto.tensor_content and given < math.prod(sizes):
        raise InvalidRequestError(
            f"input {name!r} has {given} values for shape {sizes}",
            expected=f"{math.prod(sizes)} values",
            fix="give each element its value, or the shape of the values",
        )
    try:
        array = tf.make_ndarray(proto)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"input {name!r} is no tensor: {error}",
            expected="a type, a shape and as many values",
        ) from error
    if array.shape != tuple(sizes):
        raise InvalidRequestError(
            f"input {name!r} has {array.size} values", expected=f"shape {sizes}"
        )
    return array


def _count(proto: Any) -> int:
    """Returns the number of values in the message."""
    return sum(
        len(value) // (2 if "complex" in field.name else 1)
        for field, value in proto.ListFields()
        if field.name.endswith("_val")
    )


def proto_of(array: np.ndarray) -> Any:
    """Returns an array as a TensorProto."""
    return tf.make_tensor_proto(array, tf.as_dtype(array.dtype))
