"""The signatures of a SavedModel: checks their inputs and calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.core.errors import nearest, one_of
from tfft.serving.server.refusals import InvalidRequestError, ModelFailureError

Arrays = dict[str, np.ndarray]
_MESSAGE_WIDTH = 500
# Errors that a model raises for invalid inputs.
_INPUT_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.OutOfRangeError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
)


class Signature:
    """A signature of a loaded SavedModel.

    Args:
        name: Its name.
        function: The loaded function, from tensors by name to tensors by name.
    """

    def __init__(self, name: str, function: Callable[..., Mapping[str, Any]]) -> None:
        self.name, self._function = name, function
        self.inputs: dict[str, tf.TensorSpec] = dict(
            sorted(function.structured_input_signature[1].items())
        )
        self.outputs: dict[str, Any] = dict(function.structured_outputs)
        #: Whether rows of several requests may be joined.
        self.takes_rows = all(map(_has_free_rows, self.inputs.values())) and all(
            map(_has_free_rows, self.outputs.values())
        )

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Checks names, types and shapes of the inputs.

        Raises:
            InvalidRequestError: For an input that is missing, unknown, or of another
                type or shape.
        """
        self.check_names(arrays)
        for name, spec in self.inputs.items():
            array = arrays[name]
            if tf.as_dtype(array.dtype) != spec.dtype:
                raise InvalidRequestError(
                    f"input {name!r} is of type {tf.as_dtype(array.dtype).name}",
                    where=self.name,
                    expected=spec.dtype.name,
                )
            if not spec.shape.is_compatible_with(array.shape):
                raise InvalidRequestError(
                    f"input {name!r} is of shape {shown_shape(array.shape)}",
                    where=self.name,
                    expected=shown_shape(spec.shape),
                )

    def check_names(self, names: Mapping[str, Any]) -> None:
        """Checks the names of the inputs.

        Raises:
            InvalidRequestError: For a missing or unknown input.
        """
        missing = [name for name in self.inputs if name not in names]
        if missing:
            raise InvalidRequestError(
                f"input {missing[0]!r} is missing",
                where=self.name,
                expected=", ".join(self.inputs),
            )
        for name in names:
            if name not in self.inputs:
                raise InvalidRequestError(
                    f"unknown input {name[:80]!r}",
                    where=self.name,
                    expected=one_of(self.inputs),
                    fix=nearest(name, self.inputs) or "leave it out",
                )

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Returns the outputs for checked inputs.

        Raises:
            InvalidRequestError: When the model reports an invalid input.
            ModelFailureError: When it fails for another reason.
        """
        tensors = {
            name: tf.constant(array, self.inputs[name].dtype)
            for name, array in arrays.items()
        }
        try:
            found = self._function(**tensors)
            return {name: value.numpy() for name, value in found.items()}
        except tf.errors.OpError as error:
            kind = (
                InvalidRequestError
                if isinstance(error, _INPUT_ERRORS)
                else ModelFailureError
            )
            said = " ".join(error.message.split())[:_MESSAGE_WIDTH]
            raise kind(f"the model fails: {said}", where=self.name) from error


def rows_of(arrays: Mapping[str, np.ndarray]) -> int | None:
    """Returns the number of rows of all arrays, or None if they differ.

    >>> rows_of({"a": np.zeros((3, 2)), "b": np.zeros(3)})
    3
    >>> rows_of({"a": np.zeros((3, 2)), "b": np.float32(1)}) is None
    True
    """
    sizes = {array.shape[0] if array.ndim else None for array in arrays.values()}
    return sizes.pop() if len(sizes) == 1 else None


def shown_shape(shape: Any) -> str:
    """Returns a shape as text for messages.

    >>> shown_shape(tf.TensorShape([None, 3]))
    '(any, 3)'
    """
    shape = tf.TensorShape(shape)
    if shape.rank is None:
        return "any shape"
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _has_free_rows(spec: Any) -> bool:
    return bool(spec.shape.rank) and spec.shape[0] is None
