"""A linear layer that changes a few entries of its kernel."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfft.methods.layers.wrapper import Wrapper


@keras.saving.register_keras_serializable("tfft")
class SparseLayer(Wrapper):
    """A linear layer in which only chosen entries of the kernel change.

    The changes are the only trainable weights, so nothing else can move. Every call
    builds their full matrix: this saves memory for the optimizer and in the adapter's
    file, but not in the training step.

    Args:
        layer: The `Dense` or `EinsumDense` to adapt.
        fraction: Fraction of the kernel's entries. Defaults to 0.01.
        **options: Those of `Wrapper`.
    """

    def __init__(
        self, layer: keras.layers.Layer, fraction: float = 0.01, **options: Any
    ) -> None:
        super().__init__(layer, **options)
        self.fraction = fraction

    def make_weights(self) -> None:
        """Creates indices into the flattened kernel, and changes of zero."""
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
        """Chooses the entries with the highest scores.

        Args:
            scores: One score for each entry of the matrix, shape (in, out).
        """
        count = self.changes.shape[0]
        # A stable sort: among equal scores the first entries are taken.
        order = np.argsort(-scores.reshape(-1), kind="stable")[:count]
        self.indices.assign(np.sort(order).astype("int32"))

    @property
    def adapter_variables(self) -> list[Any]:
        """The changes."""
        return [self.changes]

    def delta_matrix(self) -> Any:
        """Returns a matrix of zeros with the changes in place, shape (in, out)."""
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
        """Returns the fraction."""
        return {"fraction": self.fraction}
