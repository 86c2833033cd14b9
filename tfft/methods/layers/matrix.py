"""A `Dense` or an `EinsumDense` as one matrix: y = x·W + b."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfft.compute.einsum import flat_bias, input_axes
from tfft.core.errors import ConfigError


class Matrix:
    """The kernel of a linear layer with its input and output axes flattened.

    For a query kernel of shape (hidden, heads, head size) the matrix is (hidden,
    heads·head size); for the attention output with kernel (heads, head size,
    hidden) it is (heads·head size, hidden). PyTorch stores the transpose of this.

    Args:
        layer: A `Dense` or an `EinsumDense`, built or not.

    Raises:
        ConfigError: For any other layer or equation.
    """

    def __init__(self, layer: keras.layers.Layer) -> None:
        if not isinstance(layer, keras.layers.EinsumDense | keras.layers.Dense):
            raise ConfigError(
                f"{layer.path or layer.name} is of type {type(layer).__name__}",
                where="target",
                expected="a Dense or EinsumDense layer",
                fix="leave this layer out of the targets",
            )
        self.layer, self._contracted = layer, input_axes(layer)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """The kernel's shape; for a packed int4 kernel, the one before packing."""
        return tuple(self.layer.kernel.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """(in, out)."""
        shape = self.kernel_shape
        return (
            math.prod(shape[: self._contracted]),
            math.prod(shape[self._contracted :]),
        )

    @property
    def input_axes(self) -> tuple[int, ...]:
        """The axes of the kernel that the layer sums over."""
        return tuple(range(self._contracted))

    def flatten(self, x: Any) -> Any:
        """Returns inputs with a single input axis, shape (..., in)."""
        if self._contracted == 1:
            return x
        return ops.reshape(x, (*self._leading(x, self._contracted), self.shape[0]))

    def flatten_outputs(self, y: Any) -> Any:
        """Returns outputs with a single output axis, shape (..., out)."""
        count = len(self.kernel_shape) - self._contracted
        if count == 1:
            return y
        return ops.reshape(y, (*self._leading(y, count), self.shape[1]))

    def unflatten(self, y: Any) -> Any:
        """Returns (..., out) reshaped to the axes of the layer's outputs."""
        axes = self.kernel_shape[self._contracted :]
        if len(axes) == 1:
            return y
        return ops.reshape(y, (*self._leading(y, 1), *axes))

    def _leading(self, x: Any, axes: int) -> tuple:
        return tuple(ops.shape(x)[:-axes])

    def kernel(self) -> Any:
        """Returns W in float32, shape (in, out), for quantized layers too."""
        if self.layer.quantization_mode is not None:
            return self._dequantized()
        return ops.reshape(ops.cast(self.layer.kernel, "float32"), self.shape)

    def _dequantized(self) -> Any:
        """Computes W by passing the unit vectors through the layer.

        This gives W for any kind of quantization; rounding a unit vector to int8 is
        exact.
        """
        rows = self.kernel_shape[: self._contracted]
        units = ops.reshape(ops.eye(self.shape[0]), (1, self.shape[0], *rows))
        units = ops.cast(units, self.layer.compute_dtype)
        outputs = self.layer(units) - self.layer(ops.zeros_like(units))
        return ops.reshape(ops.cast(outputs, "float32"), self.shape)

    def as_kernel(self, matrix: Any) -> Any:
        """Returns a matrix (in, out) in the shape and dtype of the kernel."""
        shaped = ops.reshape(matrix, self.kernel_shape)
        return ops.cast(shaped, self.layer.kernel.dtype)

    def bias(self) -> Any:
        """Returns the bias flattened, shape (out,), or None."""
        return flat_bias(self.layer)


def kernel_of(layer: Any) -> np.ndarray:
    """Returns W of a linear layer or of the layer inside a wrapper, (in, out)."""
    matrix = getattr(layer, "matrix", None) or Matrix(layer)
    return np.array(matrix.kernel())
