"""Linear layers over several axes as one product of two matrices."""

from __future__ import annotations

import math
import types
from typing import Any

from tfft.core.errors import ConfigError
from tfft.models.layers import spots


def contracted_axes(equation: str) -> int:
    """Returns how many axes an einsum equation sums over.

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
            expected="(x, in), (in, out) -> (x, out), as abc,cde->abde",
            fix="leave this layer out of the targets",
        )
    return count


def _contracted_axes(equation: str) -> int:
    """Returns the number, 0 for an equation of another form."""
    operands, outputs = equation.replace(" ", "").split("->")
    inputs, kernel = operands.split(",")
    count = sum(letter not in outputs for letter in kernel)
    expected = inputs[: len(inputs) - count] + kernel[count:]
    fits = count and inputs[-count:] == kernel[:count] and outputs == expected
    return count if fits else 0


def use_matrices(backbone: Any) -> None:
    """Makes the `EinsumDense` layers of a backbone compute by one matrix product.

    Keras makes a product for each row of the batch of it, of a few hundred tokens
    each: a third slower in bfloat16 than one over the tokens of all rows.

    Args:
        backbone: Changed in place; its weights and its results, but for rounding,
            stay.
    """
    import keras

    for spot in spots(backbone):
        layer = spot.layer
        if isinstance(layer, keras.layers.EinsumDense) and _contracted_axes(
            layer.equation
        ):
            layer.call = types.MethodType(_compute, layer)


def _compute(self: Any, inputs: Any, training: bool | None = None) -> Any:
    """Stands in for `EinsumDense.call`."""
    from keras import ops

    count, kernel = contracted_axes(self.equation), self.kernel
    size, outside = math.prod(kernel.shape[:count]), kernel.shape[count:]
    matrix = ops.reshape(kernel, (size, -1))
    rows = ops.matmul(ops.reshape(inputs, (-1, size)), matrix)
    outputs = ops.reshape(rows, (*ops.shape(inputs)[:-count], *outside))
    if self.bias is not None:
        outputs = ops.add(outputs, self.bias)
    return outputs if self.activation is None else self.activation(outputs)
