"""Linear layers of several axes as one product of two matrices."""

from __future__ import annotations

import math
from typing import Any

from tfft.models.layers import spots


def use_one_product(backbone: Any) -> None:
    """Makes the `EinsumDense` layers of a backbone multiply two matrices.

    Of Keras' einsum TensorFlow makes a product for each row of the batch; for the
    gradient of the kernel it keeps one kernel for each row and adds them up.

    Args:
        backbone: Changed in place; its weights and its results, but for rounding,
            stay.
    """
    import keras

    for spot in spots(backbone):
        layer = spot.layer
        if type(layer) is keras.layers.EinsumDense and layer.built:
            shared = shared_axes(layer.equation)
            if shared and _bias_fits(layer, shared):
                layer.call = _call(layer, shared)


def shared_axes(equation: str) -> int:
    """Returns how many axes an einsum sums over, if it is a product of matrices.

    They are the last axes of the inputs and the first of the kernel, whose others
    are the last of the outputs. For every other einsum the number is 0.

    >>> shared_axes("abc,cde->abde"), shared_axes("abcd,cde->abe")
    (1, 2)
    >>> shared_axes("abc,dce->abde")
    0
    """
    inputs, _, rest = equation.partition(",")
    kernel, _, outputs = rest.partition("->")
    for count in range(1, min(len(inputs), len(kernel) + 1)):
        shared, kept = kernel[:count], kernel[count:]
        if inputs.endswith(shared) and outputs == inputs[:-count] + kept:
            return count
    return 0


def _bias_fits(layer: Any, shared: int) -> bool:
    return layer.bias is None or layer.bias.shape == layer.kernel.shape[shared:]


def _call(layer: Any, shared: int) -> Any:
    """Returns what stands in for `EinsumDense.call`."""
    from keras import ops

    def call(inputs: Any, training: bool | None = None) -> Any:
        kernel = layer.kernel
        width = math.prod(kernel.shape[:shared])
        rows = ops.reshape(inputs, (-1, width))
        found = ops.matmul(rows, ops.reshape(kernel, (width, -1)))
        if layer.bias is not None:
            found = ops.add(found, ops.reshape(layer.bias, (-1,)))
        shape = (*ops.shape(inputs)[:-shared], *kernel.shape[shared:])
        found = ops.reshape(found, shape)
        return found if layer.activation is None else layer.activation(found)

    return call
