"""Training progress: a bar on a terminal, at most ten lines anywhere else."""

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

# Of a whole training, in a log file or a pipe.
_MOST_LINES = 10
# A line within an epoch waits this long, and each one twice as long as the one before:
# nine lines cover eight hours.
_FIRST_WAIT = 60.0


def bar(console: Console) -> Progress:
    """Returns a progress bar that shows the count, the times and a text."""
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
    """Shows the steps, loss, speed, time left and metrics of each epoch.

    On a terminal a bar shows every step, and each epoch leaves a line. Elsewhere a
    training prints at most ten lines: one for each epoch, or for every few of them when
    there are more than ten, and the rest within long epochs.

    Args:
        console: Where to print.
        epochs: Number of epochs.
        steps: Steps in an epoch.
        tokens: Real tokens in an epoch, for the speed.
        clock: Returns seconds and never goes back.
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
        self._epoch, self._started, self._skipped = 0, 0.0, 0
        self._last_line, self._wait = 0.0, _FIRST_WAIT
        # More epochs than lines leave one line to show that the first is under way.
        self._epoch_lines = epochs if epochs <= _MOST_LINES else _MOST_LINES - 1
        self._lines_within = _MOST_LINES - self._epoch_lines
        self._unshown = ""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the time until the first line."""
        self._last_line = self._clock()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts a bar."""
        self._epoch, self._started, self._skipped = epoch + 1, self._clock(), 0
        if self._console.is_terminal:
            self._progress = bar(self._console)
            self._progress.start()
            self._task = self._progress.add_task(
                f"epoch {epoch + 1}/{self._epochs}", total=self._steps, text=""
            )

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Moves the bar, or prints a line if the last one is long ago."""
        if getattr(self.model, "fast_forwarding", False):
            self._skip(batch + 1)
        elif self._progress is not None:
            text = self._text(batch + 1, logs or {})
            self._progress.update(self._task, completed=batch + 1, text=text)
        elif self._is_due(batch + 1):
            self._show_step(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends the bar and prints the epoch's metrics."""
        self.close()
        shown = {k: v for k, v in (logs or {}).items() if k != "gradient_norm"}
        metrics = " · ".join(
            f"{name} {float(value):.4f}" for name, value in shown.items()
        )
        seconds = self._clock() - self._started
        line = f"epoch {epoch + 1}/{self._epochs} · {seconds:.0f} s · {metrics}"
        if self._has_line(epoch):
            self._print(line)
        else:
            self._unshown = line

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Prints the metrics of the last epoch, when early stopping chose it."""
        if self._unshown:
            self._print(self._unshown)

    def close(self) -> None:
        """Ends the bar, even if training was interrupted."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _has_line(self, epoch: int) -> bool:
        """Returns whether an epoch is one of those that get a line.

        They are evenly spread, and the last one is among them.
        """
        if self._console.is_terminal:
            return True
        done, before = (
            (n * self._epoch_lines) // self._epochs for n in (epoch + 1, epoch)
        )
        return done > before

    def _is_due(self, done: int) -> bool:
        """Returns whether to show a step that is not the last of its epoch."""
        waited = self._clock() - self._last_line
        return self._lines_within > 0 and done < self._steps and waited >= self._wait

    def _show_step(self, done: int, logs: dict[str, Any]) -> None:
        left = (self._clock() - self._started) / (done - self._skipped)
        left *= self._steps - done
        self._print(
            f"epoch {self._epoch}/{self._epochs} · step {done}/{self._steps} · "
            f"{self._text(done, logs)} · {left:.0f} s left in this epoch"
        )
        self._lines_within -= 1
        self._wait *= 2

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._last_line, self._unshown = self._clock(), ""

    def _skip(self, done: int) -> None:
        """Starts after the steps that an interrupted training has already done."""
        self._started, self._skipped = self._clock(), done
        if self._progress is not None:
            self._progress.reset(self._task, total=self._steps, completed=done)

    def _text(self, done: int, logs: dict[str, Any]) -> str:
        seconds = max(self._clock() - self._started, 1e-9)
        speed = self._tokens * (done - self._skipped) / self._steps / seconds
        return f"loss {float(logs['loss']):.4f} · {speed:,.0f} tokens/s"
