"""A stopwatch for `fit`, for tfft and KerasHub."""

from __future__ import annotations

from typing import Any

from bench_peers.peer import Stopwatch


def clock(watch: Stopwatch) -> Any:
    """Returns a Keras callback that reports to the stopwatch and keeps the losses."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.losses: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            watch.begin()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            watch.step()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.losses.append(float((logs or {})["loss"]))

    return Clock()


def parameters(variables: Any) -> int:
    """Returns how many numbers the variables hold."""
    import numpy as np

    return sum(int(np.prod(variable.shape)) for variable in variables)
