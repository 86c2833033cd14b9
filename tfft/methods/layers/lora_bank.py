"""Many low-rank updates around one layer; each row of the batch picks its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfft.methods.combine import Factors
from tfft.methods.layers.wrapper import Wrapper


class LoRABank(Wrapper):
    """A linear layer with a bank of updates: y = W·x + b + s·B[row]·A[row]·x.

    The layer itself is computed once for a batch that mixes adapters. Meant for
    serving, not for training.

    Args:
        layer: The layer to wrap.
        updates: The update of each adapter; None for an adapter without one here.
        rows: Returns the adapter index of each row, shape (batch,).
        **options: Those of every Keras layer.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        updates: Sequence[Factors | None],
        rows: Callable[[], Any],
        **options: Any,
    ) -> None:
        super().__init__(layer, **options)
        self._updates, self._rows = tuple(updates), rows

    def make_weights(self) -> None:
        """Creates the banks; shorter ranks are padded with zeros."""
        inputs, outputs = self.matrix.shape
        ranks = [0 if one is None else one.a.shape[1] for one in self._updates]
        a = np.zeros((len(ranks), inputs, max(ranks)), "float32")
        b = np.zeros((len(ranks), max(ranks), outputs), "float32")
        for index, (one, rank) in enumerate(zip(self._updates, ranks, strict=True)):
            if one is not None:
                a[index, :, :rank] = one.a
                b[index, :rank] = one.b * one.scale
        frozen = {"initializer": "zeros", "trainable": False}
        self.bank_a = self.own_weight("bank_a", a.shape, **frozen)
        self.bank_b = self.own_weight("bank_b", b.shape, **frozen)
        self.bank_a.assign(a)
        self.bank_b.assign(b)

    @property
    def adapter_variables(self) -> list[Any]:
        """The banks."""
        return [self.bank_a, self.bank_b]

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns the layer's output plus each row's own update."""
        flat = self.matrix.flatten(inputs)
        outputs = self.matrix.flatten_outputs(self.layer(inputs))
        rows = self._rows()
        a, b = (
            ops.cast(ops.take(bank, rows, axis=0), flat.dtype)
            for bank in (self.bank_a, self.bank_b)
        )
        update = ops.matmul(ops.matmul(flat, a), b)
        return self.matrix.unflatten(outputs + update)
