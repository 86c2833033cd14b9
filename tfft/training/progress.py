"""Progress on the terminal: a bar where there is one, lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINES_PER_EPOCH = 4


def bar(console: Console) -> Progress:
    """Returns a progress bar with count, times and a text."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
    )


class ShowProgress(keras.callbacks.Callback):
    """Shows steps, loss, speed and the time left of each epoch.

    Args:
        console: Where to.
        epochs: Number of epochs.
        steps: Steps of an epoch.
        tokens: Real tokens of an epoch, for the speed.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        console: Console,
        epochs: int,
        steps: int,
        tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._console, self._clock = console, clock
        self._epochs, self._steps, self._tokens = epochs, steps, tokens
        self._progress: Progress | None = None
        self._task: Any = None
        self._started, self._skipped = 0.0, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts a bar."""
        self._started, self._skipped = self._clock(), 0
        if self._console.is_terminal:
            self._progress = bar(self._console)
            self._progress.start()
            self._task = self._progress.add_task(
                f"epoch {epoch + 1}/{self._epochs}", total=self._steps, text=""
            )

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Moves the bar, or prints a line now and then."""
        if getattr(self.model, "fast_forwarding", False):
            self._skip(batch + 1)
            return
        text = self._text(batch + 1, logs or {})
        if self._progress is not None:
            self._progress.update(self._task, completed=batch + 1, text=text)
        elif (batch + 1) % max(self._steps // _LINES_PER_EPOCH, 1) == 0:
            left = (self._clock() - self._started) / (batch + 1 - self._skipped)
            left *= self._steps - batch - 1
            self._console.print(
                f"  step {batch + 1}/{self._steps} · {text} · {left:.0f} s left",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends the bar and prints the epoch's metrics."""
        self.close()
        shown = {k: v for k, v in (logs or {}).items() if k != "gradient_norm"}
        metrics = " · ".join(
            f"{name} {float(value):.4f}" for name, value in shown.items()
        )
        seconds = self._clock() - self._started
        self._console.print(
            f"epoch {epoch + 1}/{self._epochs} · {seconds:.0f} s · {metrics}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def close(self) -> None:
        """Ends the bar, also when training was cut short."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _skip(self, done: int) -> None:
        """Starts after steps that an interrupted training has done already."""
        self._started, self._skipped = self._clock(), done
        if self._progress is not None:
            self._progress.reset(self._task, total=self._steps, completed=done)

    def _text(self, done: int, logs: dict[str, Any]) -> str:
        seconds = max(self._clock() - self._started, 1e-9)
        speed = self._tokens * (done - self._skipped) / self._steps / seconds
        return f"loss {float(logs['loss']):.4f} · {speed:,.0f} tokens/s"
