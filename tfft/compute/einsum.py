"""Linear layers as a single matrix product with its bias."""

from __future__ import annotations

import math
from typing import Any

from tfft.compute.activations import after_product
from tfft.compute.fast_form import fast_method
from tfft.core.errors import ConfigError


def contracted_axes(equation: str) -> int:
    """Returns the number of axes that an einsum equation sums over.

    Raises:
        ConfigError: Unless it has the form (x, in), (in, out) -> (x, out).

    >>> contracted_axes("abc,cde->abde"), contracted_axes("abcd,cde->abe")
    (1, 2)
    """
    count = _contracted_axes(equation)
    if not count:
        raise ConfigError(
            f"einsum equation {equation!r}",
            where="EinsumDense",
            expected="(x, in), (in, out) -> (x, out), such as abc,cde->abde",
            fix="leave this layer out of the targets",
        )
    return count


def _contracted_axes(equation: str) -> int:
    """Returns the number of summed axes, or 0 for any other equation."""
    operands, outputs = equation.replace(" ", "").split("->")
    inputs, kernel = operands.split(",")
    count = sum(letter not in outputs for letter in kernel)
    expected = inputs[: len(inputs) - count] + kernel[count:]
    fits = count and inputs[-count:] == kernel[:count] and outputs == expected
    return count if fits else 0


def input_axes(layer: Any) -> int:
    """Returns the number of kernel axes that an `EinsumDense` or `Dense` sums over.

    Raises:
        ConfigError: For any other equation.
    """
    import keras

    einsum = isinstance(layer, keras.layers.EinsumDense)
    return contracted_axes(layer.equation) if einsum else 1


def flat_bias(layer: Any) -> Any:
    """Returns the layer's bias with one value for each output, (out,), or None."""
    from keras import ops

    if layer.bias is None:
        return None
    axes = layer.kernel.shape[input_axes(layer) :]
    return ops.reshape(ops.broadcast_to(layer.bias, axes), (-1,))


def _is_matrix(layer: Any) -> bool:
    import keras

    if isinstance(layer, keras.layers.EinsumDense):
        return bool(_contracted_axes(layer.equation))
    return type(layer) is keras.layers.Dense


def _compute(self: Any, inputs: Any, training: bool | None = None) -> Any:
    """Replaces `call` of an `EinsumDense` or a `Dense`."""
    import tensorflow as tf
    from keras import ops

    count, kernel, bias = input_axes(self), self.kernel, flat_bias(self)
    size, outside = math.prod(kernel.shape[:count]), kernel.shape[count:]
    rows = ops.matmul(ops.reshape(inputs, (-1, size)), ops.reshape(kernel, (size, -1)))
    if bias is not None:
        rows = tf.nn.bias_add(rows, ops.cast(bias, rows.dtype))
    shape = (*ops.shape(inputs)[:-count], *outside)
    if self.activation is None:
        return ops.reshape(rows, shape)
    if len(outside) == 1:
        return ops.reshape(after_product(self.activation, rows), shape)
    # A softmax, for example, works on the last axis.
    return self.activation(ops.reshape(rows, shape))


# Keras computes an `EinsumDense` as one product for each row of the batch, of a few
# hundred tokens each: a third slower in bfloat16 than one product over all tokens of
# the batch. A bias that is added right after the product, before the rows get their
# axes back, becomes part of it in oneDNN and saves a pass over the outputs.
ONE_MATRIX = fast_method(_is_matrix, _compute)
