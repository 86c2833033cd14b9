"""Stopping trials that have no hope: the median rule."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfft.core.errors import ConfigError, nearest, one_of
from tfft.tuning.trials import Trial, best_so_far

# Fewer trials say nothing of the median, and the start of a training says nothing
# of its end: the learning rate still rises.
FEWEST, EARLIEST = 4, 0.3


def is_hopeless(
    history: Sequence[float], epochs: int, others: Sequence[Trial], higher: bool
) -> bool:
    """Tells whether a trial is worse than half of the others were at this point.

    The rule is that of Google Vizier (Golovin et al., 2017): the best score so far is
    compared with the median of what the others had reached at the same share of their
    trainings. Only trials that got as far count; four of them at least.

    Args:
        history: Its scores, an epoch each.
        epochs: How many there will be.
        others: Trials that have ended.
        higher: Whether more is better.

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
    if mine is None:  # no score of its own was a finite number
        return True
    return mine < median if higher else mine > median


class Watch(keras.callbacks.Callback):
    """Follows the objective of a trial, and stops it when it has no hope.

    Args:
        objective: The metric of the validation rows.
        higher: Whether more is better.
        others: Returns the trials that have ended; None never stops one.
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
        """How many the trial was meant to take."""
        return self.params["epochs"]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the score.

        Raises:
            ConfigError: When there is no such metric.
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
