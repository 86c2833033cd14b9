"""Stops hopeless trials by the median rule."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfft.core.errors import ConfigError, nearest, one_of
from tfft.tuning.trials import Trial, best_so_far

# The median of fewer trials is not reliable, and at the start of a training, while
# the learning rate rises, the score does not predict the final one.
FEWEST, EARLIEST = 4, 0.3


def is_hopeless(
    history: Sequence[float], epochs: int, others: Sequence[Trial], higher: bool
) -> bool:
    """Returns whether a trial is worse than half of the others were at this point.

    This is the median rule of Google Vizier (Golovin et al., 2017): it compares the
    best score so far with the median of the best scores that other trials had at the
    same share of their trainings. It needs at least four trials that got this far.

    Args:
        history: The score after each epoch so far.
        epochs: The number of epochs of the whole training.
        others: Trials that have ended.
        higher: Whether a higher score is better.

    >>> done = [Trial(str(i), "completed", {}, 2, history=[i, i]) for i in range(5)]
    >>> is_hopeless([1.0], 2, done, higher=True), is_hopeless([3.0], 2, done, True)
    (True, False)
    """
    share = len(history) / epochs
    if share < EARLIEST or share >= 1:
        return False
    reached = [
        best_so_far(one.history, share, one.epochs, higher)
        for one in others
        if one.status == "completed" or len(one.history) >= share * one.epochs
    ]
    known = [value for value in reached if value is not None]
    if len(known) < FEWEST:
        return False
    mine = best_so_far(history, 1, len(history), higher)
    median = statistics.median(known)
    if mine is None:  # none of its scores is a finite number
        return True
    return mine < median if higher else mine > median


class Watch(keras.callbacks.Callback):
    """Records the objective of a trial after each epoch, and stops hopeless trials.

    Args:
        objective: The name of a metric of the validation rows.
        higher: Whether higher is better.
        others: Returns the trials that have ended. With None no trial is stopped.
    """

    def __init__(
        self, objective: str, higher: bool, others: Callable[[], list[Trial]] | None
    ) -> None:
        super().__init__()
        self._objective, self._higher, self._others = objective, higher, others
        self.history: list[float] = []
        self.pruned = False

    @property
    def epochs(self) -> int:
        """The planned number of epochs."""
        return self.params["epochs"]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Records the score, and stops a hopeless trial.

        Raises:
            ConfigError: When the validation has no such metric.
        """
        known = {
            name.removeprefix("val_"): value
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        if self._objective not in known:
            raise ConfigError(
                f"no metric {self._objective!r} is reported",
                where="tune.objective",
                expected=one_of(known) if known else "validation rows",
                fix=nearest(self._objective, known) or "choose another objective",
            )
        self.history.append(float(known[self._objective]))
        if self._others is None:
            return
        args = (self.history, self.epochs, self._others(), self._higher)
        if is_hopeless(*args):
            self.pruned = self.model.stop_training = True
