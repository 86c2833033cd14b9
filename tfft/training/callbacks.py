"""Callbacks: validation, early stopping, the metrics file, checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfft.core.files import storage_errors
from tfft.core.signals import uninterrupted

_LOSS = "val_loss"


class Validate(keras.callbacks.Callback):
    """Adds validation metrics to the logs of an epoch, for the callbacks after it.

    Args:
        evaluate: Returns the metrics of the current model.
    """

    def __init__(self, evaluate: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._evaluate = evaluate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds each metric under its name with the prefix `val_`."""
        if logs is not None:
            logs.update({f"val_{k}": v for k, v in self._evaluate().items()})


class KeepBest(keras.callbacks.Callback):
    """Stops when validation no longer improves, and always ends with the best weights.

    Among epochs with the same value of the metric, the one with the lowest validation
    loss is the best, if a loss is reported. On few rows an F1 often ties, while the
    loss still separates a confident epoch from an overfitted one. A lower loss at the
    same value counts as progress for the patience.

    Only the trainable variables are kept, in host memory. Keras' own callback also
    copies the frozen backbone, and keeps the last weights if it did not stop.

    Args:
        monitor: The metric, such as `val_loss`.
        higher_is_better: Whether higher values of the metric are better.
        patience: Epochs without improvement before stopping; 0 never stops.
    """

    def __init__(self, monitor: str, higher_is_better: bool, patience: int) -> None:
        super().__init__()
        self.monitor, self.patience = monitor, patience
        self._sign = 1.0 if higher_is_better else -1.0
        self.best, self.best_epoch, self._waited = -math.inf, 0, 0
        self._best_loss = math.inf
        self.last_score, self._seen = -math.inf, 0
        self._weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the weights if the metric is the best so far."""
        # A training resumed from here sees the end of this epoch again.
        if epoch + 1 > self._seen:
            logs = logs or {}
            loss = float(logs.get(_LOSS, math.inf))
            with uninterrupted():
                self._compare(epoch + 1, self._sign * float(logs[self.monitor]), loss)
        if self.has_stopped:
            self.model.stop_training = True

    def _compare(self, epoch: int, value: float, loss: float) -> None:
        self.last_score, self._seen = value, epoch
        self._waited += 1
        if value > self.best or (value == self.best and loss < self._best_loss):
            self.best, self.best_epoch, self._waited = value, epoch, 0
            self._best_loss = loss
            self._weights = [
                keras.ops.convert_to_numpy(variable)
                for variable in self.model.trainable_variables
            ]

    @property
    def has_stopped(self) -> bool:
        """Whether the patience is used up."""
        return bool(self.patience) and self._waited >= self.patience

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the best weights."""
        self.restore()

    def restore(self) -> None:
        """Restores the best weights, if an epoch has ended."""
        variables = self.model.trainable_variables
        for variable, value in zip(variables, self._weights, strict=False):
            variable.assign(value)

    def state(self) -> dict[str, np.ndarray]:
        """Returns what a resumed training needs to make the same decisions."""
        numbers = np.array(
            [self.best, self.best_epoch, self._waited, self._seen, self._best_loss],
            "float64",
        )
        weights = {f"best.{i}": value for i, value in enumerate(self._weights)}
        return {"best": numbers, **weights}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores the return value of `state`."""
        self.best = float(state["best"][0])
        self.best_epoch, self._waited, self._seen = map(int, state["best"][1:4])
        losses = state["best"][4:]  # empty in checkpoints of earlier versions
        self._best_loss = float(losses[0]) if len(losses) else -math.inf
        self._weights = [state[f"best.{i}"] for i in range(len(state) - 1)]


class MetricsFile(keras.callbacks.Callback):
    """Appends one JSON line per epoch to `metrics.jsonl`.

    Args:
        path: The file.
        extra: Returns more values for each line.
    """

    def __init__(self, path: Path, extra: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._path, self._extra = path, extra
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's metrics."""
        line = {
            "epoch": epoch + 1,
            "step": int(self.model.optimizer.iterations.numpy()),
            "seconds": round(time.monotonic() - self._started, 3),
            **{name: float(value) for name, value in (logs or {}).items()},
            **self._extra(),
        }
        with storage_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class AtEpochEnd(keras.callbacks.Callback):
    """Calls a function with the number of epochs that have ended.

    Args:
        act: The function to call.
    """

    def __init__(self, act: Callable[[int], None]) -> None:
        super().__init__()
        self._act = act

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Calls the function."""
        self._act(epoch + 1)


class EverySteps(keras.callbacks.Callback):
    """Calls a function every few steps of an epoch.

    Args:
        steps: Number of steps between calls.
        act: The function to call.
    """

    def __init__(self, steps: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._steps, self._act = steps, act

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Calls the function, except for steps that were done before a resume."""
        if (batch + 1) % self._steps == 0 and not self.model.fast_forwarding:
            self._act()
