"""TensorBoard scalars for each step; Keras' own callback writes those of epochs."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

_MEBIBYTE = 2**20


def memory_in_use() -> float:
    """Returns MiB in use on the first GPU, or else this process' peak memory."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["current"] / _MEBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class StepScalars(keras.callbacks.Callback):
    """Writes the scalars of a step every few steps.

    The scalars are `step/loss` (the mean since the epoch began),
    `step/learning_rate`, `step/gradient_norm`, `step/tokens_per_second` and
    `step/memory_mib`.

    Args:
        folder: The folder for event files.
        every: Number of steps between points. The last step of an epoch always gets
            one.
        tokens: Average number of real tokens in a step.
        clock: Returns seconds that never decrease.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        tokens: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._folder, self._every, self._tokens = folder, every, tokens
        self._clock, self._writer = clock, None
        self._since, self._started, self._rate = 0, 0.0, 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Opens an event file."""
        self._writer = tf.summary.create_file_writer(str(self._folder))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock here, because validation before it is not training."""
        self._since, self._started = 0, self._clock()

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Reads the learning rate of the coming step."""
        if self._is_due(batch):
            self._rate = float(self.model.optimizer.learning_rate)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Writes the step's scalars if they are due."""
        if getattr(self.model, "fast_forwarding", False):
            self._started = self._clock()
            return
        self._since += 1
        if not self._is_due(batch):
            return
        now = self._clock()
        seconds = max(now - self._started, 1e-9)
        values = {
            "loss": (logs or {})["loss"],
            "learning_rate": self._rate,
            "gradient_norm": (logs or {})["gradient_norm"],
            "tokens_per_second": self._tokens * self._since / seconds,
            "memory_mib": memory_in_use(),
        }
        with self._writer.as_default(int(self.model.optimizer.iterations.numpy())):
            for name, value in values.items():
                tf.summary.scalar(f"step/{name}", float(value))
        self._since, self._started = 0, now

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Flushes the epoch's points to the file."""
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the file."""
        self._writer.close()

    def _is_due(self, batch: int) -> bool:
        return (batch + 1) % self._every == 0 or batch + 1 == self.params["steps"]
