"""Callbacks that see the moving average of the weights instead of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np


@contextlib.contextmanager
def average_in_place(model: Any) -> Iterator[None]:
    """Swaps the optimizer's moving average into the model inside a `with` block.

    Before the first step there is no average, and the weights stay as they are.
    """
    optimizer = model.optimizer
    if not optimizer.use_ema or not int(optimizer.iterations.numpy()):
        yield
        return
    variables = model.trainable_variables
    before = [np.array(variable) for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


class OnAverage(keras.callbacks.Callback):
    """Calls other callbacks at the end of an epoch with the average in the weights.

    At the end of training Keras puts the average into the weights for good, before
    `on_train_end`.

    Args:
        callbacks: The callbacks that evaluate or keep weights, in order.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._callbacks = list(callbacks)

    def set_model(self, model: Any) -> None:
        """Passes the model on."""
        super().set_model(model)
        for callback in self._callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Passes the parameters of `fit` on."""
        super().set_params(params)
        for callback in self._callbacks:
            callback.set_params(params)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Calls the callbacks; afterward the weights are back, even after an error."""
        with average_in_place(self.model):
            for callback in self._callbacks:
                callback.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Calls the callbacks."""
        for callback in self._callbacks:
            callback.on_train_end(logs)
