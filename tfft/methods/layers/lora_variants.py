"""Strategies of LoRA: ways to add a low-rank update to a layer's outputs."""

from __future__ import annotations

import abc
from typing import Any

from keras import ops


class Variant(abc.ABC):
    """One way to add an update; stateless, because the layer holds the weights.

    Attributes:
        adds: Whether the outputs are simply the layer's own plus the update.
    """

    adds = False

    @abc.abstractmethod
    def make_weights(self, layer: Any) -> None:
        """Creates the weights that the variant needs besides A and B."""

    @abc.abstractmethod
    def variables(self, layer: Any) -> list[Any]:
        """Returns the weights that `make_weights` added."""

    @abc.abstractmethod
    def joined(self, layer: Any, outputs: Any, update: Any) -> Any:
        """Returns the outputs with the update s·(x·A)·B, both of shape (..., out)."""

    @abc.abstractmethod
    def merged(self, layer: Any) -> Any:
        """Returns the matrix (in, out) with the update merged."""

    @abc.abstractmethod
    def neutral(self, layer: Any) -> list[tuple[Any, Any]]:
        """Returns the values that make the variant's weights neutral when B is 0."""


class Plain(Variant):
    """LoRA as in the paper: y = W·x + b + s·B·A·x."""

    adds = True

    def make_weights(self, layer: Any) -> None:
        """Creates nothing."""

    def variables(self, layer: Any) -> list[Any]:
        """Returns an empty list."""
        return []

    def joined(self, layer: Any, outputs: Any, update: Any) -> Any:
        """Returns the sum."""
        return ops.add(outputs, update)

    def merged(self, layer: Any) -> Any:
        """Returns W + s·A·B."""
        return layer.matrix.kernel() + layer.delta_matrix()

    def neutral(self, layer: Any) -> list[tuple[Any, Any]]:
        """Returns an empty list."""
        return []


class DoRA(Variant):
    """Separate magnitude and direction (Liu et al., 2024, arXiv:2402.09353).

    y = m/n·(W + s·B·A)·x + b, where n is the norm of each row of W + s·B·A. As in
    section 4.3 of the paper and in PEFT, no gradient flows through n.
    """

    def make_weights(self, layer: Any) -> None:
        """Creates m, initialized to the norm of W's rows: one for each output."""
        layer.magnitude = layer.own_weight(
            "lora_magnitude_vector", (layer.matrix.shape[1],), "ones"
        )
        layer.magnitude.assign(norms(layer))

    def variables(self, layer: Any) -> list[Any]:
        """Returns m."""
        return [layer.magnitude]

    def joined(self, layer: Any, outputs: Any, update: Any) -> Any:
        """Returns outputs + (m/n - 1)·(outputs - b) + (m/n)·update."""
        ratio = layer.magnitude / ops.stop_gradient(norms(layer))
        # ratio - 1 in float32: bfloat16 would round every ratio near 1 to 1.
        excess = ops.cast(ratio - 1, outputs.dtype)
        bias = layer.matrix.bias()
        unbiased = outputs if bias is None else outputs - ops.cast(bias, outputs.dtype)
        return outputs + excess * unbiased + ops.cast(ratio, outputs.dtype) * update

    def merged(self, layer: Any) -> Any:
        """Returns (m/n)·(W + s·A·B)."""
        ratio = layer.magnitude / norms(layer)
        return ratio * (layer.matrix.kernel() + layer.delta_matrix())

    def neutral(self, layer: Any) -> list[tuple[Any, Any]]:
        """Returns m as the norms of W's rows."""
        return [(layer.magnitude, norms(layer, update=False))]


def norms(layer: Any, update: bool = True) -> Any:
    """Returns the norm of each column of W + s·A·B without forming A·B.

    With w, a and b a column of W, A and B:
    |w + s·A·b|² = |w|² + 2s·(Aᵀ·w)·b + s²·bᵀ·(Aᵀ·A)·b.

    Args:
        layer: A LoRA layer.
        update: False to use only W. Defaults to True.

    Returns:
        Shape (out,), float32.
    """
    W = layer.matrix.kernel()
    squares = ops.sum(ops.square(W), axis=0)
    A, B = layer.factors()
    B = layer.scale * (B if update else ops.zeros_like(B))
    cross = ops.sum(ops.matmul(ops.transpose(A), W) * B, axis=0)
    own = ops.sum(B * ops.matmul(ops.matmul(ops.transpose(A), A), B), axis=0)
    return ops.sqrt(ops.maximum(squares + 2 * cross + own, 1e-30))


VARIANTS: dict[bool, Variant] = {False: Plain(), True: DoRA()}
