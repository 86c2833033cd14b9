"""A few entries of a kernel that change."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfft.methods.layers.wrapper import Wrapper


@keras.saving.register_keras_serializable("tfft")
class SparseLayer(Wrapper):
    """A linear layer of which chosen entries of the kernel change.

    The changes are the only trainable weights, so nothing else can move. Their
    matrix is formed in every call: this saves memory of the optimizer and of the
    adapter's file, not of the step.

    Args:
        layer: The `Dense` or `EinsumDense` to adapt.
        fraction: Share of the kernel's entries. Defaults to 0.01.
        **options: Those of `Wrapper`.
    """

    def __init__(
        self, layer: keras.layers.Layer, fraction: float = 0.01, **options: Any
    ) -> None:
        super().__init__(layer, **options)
        self.fraction = fraction

    def make_weights(self) -> None:
        """Makes indices into the flattened kernel, and changes of zero."""
        inputs, outputs = self.matrix.shape
        count = max(1, round(self.fraction * inputs * outputs))
        self.changes = self.own_weight("changes", (count,), "zeros")
        self.indices = self.add_weight(
            name=f"{self.label}.indices" if self.label else "indices",
            shape=(count,),
            initializer="zeros",
            trainable=False,
            dtype="int32",
        )
        self.choose(np.abs(np.array(self.matrix.kernel())))

    def choose(self, scores: np.ndarray) -> None:
        """Takes the entries of the highest scores.

        Args:
            scores: Of the matrix, shape (in, out).
        """
        count = self.changes.shape[0]
        # A stable order: entries of equal scores are taken from the front.
        order = np.argsort(-scores.reshape(-1), kind="stable")[:count]
        self.indices.assign(np.sort(order).astype("int32"))

    @property
    def adapter_variables(self) -> list[Any]:
        """The changes."""
        return [self.changes]

    def delta_matrix(self) -> Any:
        """Returns the changes at their places in a matrix of zeros, (in, out)."""
        inputs, outputs = self.matrix.shape
        flat = ops.scatter(self.indices[:, None], self.changes, (inputs * outputs,))
        return ops.reshape(flat, (inputs, outputs))

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns the wrapped layer's output plus x·delta."""
        outputs = self.matrix.flatten_outputs(self.layer(inputs))
        flat = self.matrix.flatten(inputs)
        update = ops.matmul(flat, ops.cast(self.delta_matrix(), flat.dtype))
        return self.matrix.unflatten(ops.add(outputs, update))

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns changes of zero."""
        return [(self.changes, ops.zeros_like(self.changes))]

    def merged_values(self) -> list[tuple[Any, Any]]:
        """Returns the changed kernel."""
        merged = self.matrix.kernel() + self.delta_matrix()
        return [(self.base.kernel, self.matrix.as_kernel(merged))]

    def own_config(self) -> dict[str, Any]:
        """Returns the share."""
        return {"fraction": self.fraction}
