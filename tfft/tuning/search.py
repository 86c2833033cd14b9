"""Runs a search: KerasTuner proposes trials, a function trains and scores them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FatalError

from tfft.core.errors import DivergedError, OutOfMemoryError
from tfft.training.tensorboard import memory_in_use
from tfft.tuning import workers
from tfft.tuning.oracle_mixin import SCORE
from tfft.tuning.space import Space
from tfft.tuning.trials import Trial, is_written

ORACLE, TRIALS = "oracle", "trials"
_PAUSE = 0.5

# Takes a trial with its values, and the number of epochs if the oracle decides it.
Measure = Callable[[Trial, int | None], Trial]
Note = Callable[[Trial], None]


class _Tuner(BaseTuner):
    """KerasTuner's loop, with a function that trains.

    Args:
        oracle: Proposes the trials.
        space: The search space.
        measure: Trains, and returns the trial with its results.
        note: Called with each trial that has ended, before it is written.
        folder: The folder of the search.
    """

    def __init__(
        self, oracle: Any, space: Space, measure: Measure, note: Note, folder: Path
    ) -> None:
        self._space, self._measure, self._folder = space, measure, folder
        self._note = note
        self._idle = False
        self._worst = -math.inf if oracle.objective.direction == "max" else math.inf
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(oracle, directory=str(folder), project_name=ORACLE)

    def pre_create_trial(self) -> None:
        """Waits half a second when the chief had no trial the last time.

        KerasTuner would ask again at once, thousands of times a second.
        """
        if self._idle:
            time.sleep(_PAUSE)
        self._idle = True

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Trains a trial, writes its result and returns its score."""
        self._idle = False
        stored = trial.hyperparameters.values
        asked = Trial(
            trial.trial_id,
            "completed",
            self._space.values(stored),
            worker=workers.name(),
        )
        started = time.monotonic()
        try:
            done = self._measure(asked, stored.get("tuner/epochs"))
        except (DivergedError, OutOfMemoryError) as error:
            done = dataclasses.replace(asked, status="failed", message=str(error))
        except Exception as error:  # other trials would fail in the same way
            raise FatalError(str(error)) from error
        done = _finite(done)
        seconds, memory = time.monotonic() - started, memory_now()
        done = dataclasses.replace(done, seconds=round(seconds, 3), memory=memory)
        self._note(done)
        done.save(self._folder / TRIALS)
        # KerasTuner prints an error with its traceback, and Hyperband would promote one
        # trial less; a trial whose score is not a number would be repeated.
        return {SCORE: self._worst if done.score is None else done.score}


def _finite(done: Trial) -> Trial:
    """Returns the trial; when its score is not finite, as a failed one."""
    if done.score is None or math.isfinite(done.score):
        return done
    message = done.message or f"its score is {done.score}"
    return dataclasses.replace(done, status="failed", score=None, message=message)


def memory_now() -> float:
    """Returns the MiB in use now: on the GPU, or else by the process."""
    import psutil
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return memory_in_use()
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def run_search(
    oracle: Any,
    space: Space,
    measure: Measure,
    note: Note,
    folder: Path,
    worker_timeout: float,
) -> None:
    """Runs trials until the oracle stops; continues a search that the folder holds.

    A chief hands out trials and does not run any.

    Args:
        oracle: Proposes the trials.
        space: The search space.
        measure: Trains, and returns the trial with its results.
        note: Called with each trial of this process that has ended or failed.
        folder: The folder of the search.
        worker_timeout: Seconds without a heartbeat after which a worker counts as
            dead.

    Raises:
        Exception: An error of `measure` that would occur in other trials too.
    """
    signs = folder / ORACLE
    tuner = _Tuner(oracle, space, measure, note, folder)
    me = workers.role()
    with contextlib.ExitStack() as stack:
        if me == "chief":
            stack.enter_context(workers.reclaiming(oracle, signs, worker_timeout))
        if me == "worker":
            stack.enter_context(workers.heartbeat(signs))
        try:
            tuner.search(verbose=0) if me == "chief" else tuner.search()
        except FatalError as error:
            raise error.__cause__ from None
    if me == "chief":
        _note_lost(oracle, space, folder)


def _note_lost(oracle: Any, space: Space, folder: Path) -> None:
    """Writes a result for each trial that was lost with its worker."""
    for trial in oracle.trials.values():
        if not is_written(folder / TRIALS, trial.trial_id):
            values: Mapping[str, Any] = space.values(trial.hyperparameters.values)
            message = trial.message or "its worker has died"
            Trial(trial.trial_id, "lost", values, message=message).save(folder / TRIALS)
