"""How a low-rank update joins the wrapped layer's outputs: strategies of LoRA."""

from __future__ import annotations

import abc
from typing import Any

from keras import ops


class Variant(abc.ABC):
    """One way to join; it holds no state, the layer holds the weights.

    Attributes:
        adds: Whether the outputs are the sum of the layer's own and the update.
    """

    adds = False

    @abc.abstractmethod
    def make_weights(self, layer: Any) -> None:
        """Adds what the variant needs beside A and B."""

    @abc.abstractmethod
    def variables(self, layer: Any) -> list[Any]:
        """Returns the weights that `make_weights` added."""

    @abc.abstractmethod
    def joined(self, layer: Any, outputs: Any, update: Any) -> Any:
        """Returns the outputs with the update s·(x·A)·B, both of shape (..., out)."""

    @abc.abstractmethod
    def merged(self, layer: Any) -> Any:
        """Returns the matrix (in, out) that does the same."""

    @abc.abstractmethod
    def neutral(self, layer: Any) -> list[tuple[Any, Any]]:
        """Returns the values of its weights that change nothing when B does not."""


class Plain(Variant):
    """LoRA as in its paper: y = W·x + b + s·B·A·x."""

    adds = True

    def make_weights(self, layer: Any) -> None:
        """Adds nothing."""

    def variables(self, layer: Any) -> list[Any]:
        """Returns none."""
        return []

    def joined(self, layer: Any, outputs: Any, update: Any) -> Any:
        """Returns the sum."""
        return ops.add(outputs, update)

    def merged(self, layer: Any) -> Any:
        """Returns W + s·A·B."""
        return layer.matrix.kernel() + layer.delta_matrix()

    def neutral(self, layer: Any) -> list[tuple[Any, Any]]:
        """Returns none."""
        return []


class DoRA(Variant):
    """Magnitude and direction apart (Liu et al., 2024, arXiv:2402.09353).

    y = m/n·(W + s·B·A)·x + b with n the norm of each row of W + s·B·A. As in the
    paper's section 4.3 and in PEFT, no gradient flows through n.
    """

    def make_weights(self, layer: Any) -> None:
        """Adds m, which starts as the norm of W's rows: one for each output."""
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
        # The difference in float32: in bfloat16 ratios near 1 would all be 1.
        excess = ops.cast(ratio - 1, outputs.dtype)
        bias = layer.matrix.bias()
        unbiased = outputs if bias is None else outputs - ops.cast(bias, outputs.dtype)
        return outputs + excess * unbiased + ops.cast(ratio, outputs.dtype) * update

    def merged(self, layer: Any) -> Any:
        """Returns (m/n)·(W + s·A·B)."""
        ratio = layer.magnitude / norms(layer)
        return ratio * (layer.matrix.kernel() + layer.delta_matrix())

    def neutral(self, layer: Any) -> list[tuple[Any, Any]]:
        """Returns m as the norm of W's rows."""
        return [(layer.magnitude, norms(layer, update=False))]


def norms(layer: Any, update: bool = True) -> Any:
    """Returns the norm of each column of W + s·A·B without forming A·B.

    With w, a and b a column of W, A and B:
    |w + s·A·b|² = |w|² + 2s·(Aᵀ·w)·b + s²·bᵀ·(Aᵀ·A)·b.

    Args:
        layer: A LoRA layer.
        update: False for the norms of W alone.

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
