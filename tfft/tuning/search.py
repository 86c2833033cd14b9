"""The loop of a search: KerasTuner asks, a function answers with a trial."""

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
from tfft.tuning.careful import SCORE
from tfft.tuning.space import Space
from tfft.tuning.trials import Trial, is_written

ORACLE, TRIALS = "oracle", "trials"
_PAUSE = 0.5

# Takes values by name, and the number of epochs where the oracle decides it.
Measure = Callable[[Trial, int | None], Trial]
Note = Callable[[Trial], None]


class _Tuner(BaseTuner):
    """KerasTuner's loop around a function.

    Args:
        oracle: Decides what is tried.
        space: Tells the values of a trial.
        measure: Trains, and returns the trial with what it came to.
        note: Sees each trial that has ended, before it is written.
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
        """Waits when the last answer was that there is no trial yet.

        KerasTuner would ask its chief again at once, thousands of times a second.
        """
        if self._idle:
            time.sleep(_PAUSE)
        self._idle = True

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Returns the score of a trial, once its result is written."""
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
        except Exception as error:  # another trial would have it too
            raise FatalError(str(error)) from error
        done = _finite(done)
        seconds, memory = time.monotonic() - started, memory_now()
        done = dataclasses.replace(done, seconds=round(seconds, 3), memory=memory)
        self._note(done)
        done.save(self._folder / TRIALS)
        # An error instead would be printed with its traceback, and cost the bracket of
        # a Hyperband a promotion; not-a-number would be tried once more.
        return {SCORE: self._worst if done.score is None else done.score}


def _finite(done: Trial) -> Trial:
    """Returns a trial, as failed when its score is not a finite number."""
    if done.score is None or math.isfinite(done.score):
        return done
    message = done.message or f"its score is {done.score}"
    return dataclasses.replace(done, status="failed", score=None, message=message)


def memory_now() -> float:
    """Returns MiB in use now; on a CPU the process's."""
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
    """Searches until the oracle has enough; goes on where a folder's search stands.

    As a chief it hands out trials and runs none.

    Args:
        oracle: Decides what is tried.
        space: Tells the values of a trial.
        measure: Trains, and returns the trial with what it came to.
        note: Sees each trial of this process that has ended, also one that failed.
        folder: The folder of the search.
        worker_timeout: Seconds without a sign after which a worker counts as gone.

    Raises:
        Exception: What stopped `measure`, unless it concerns one trial alone.
    """
    signs = folder / ORACLE
    tuner = _Tuner(oracle, space, measure, note, folder)
    me = workers.role()
    with contextlib.ExitStack() as stack:
        if me == "chief":
            stack.enter_context(workers.burying(oracle, signs, worker_timeout))
        if me == "worker":
            stack.enter_context(workers.alive(signs))
        try:
            tuner.search(verbose=0) if me == "chief" else tuner.search()
        except FatalError as error:
            raise error.__cause__ from None
    if me == "chief":
        _note_lost(oracle, space, folder)


def _note_lost(oracle: Any, space: Space, folder: Path) -> None:
    """Writes a result for each trial that went with its worker."""
    for trial in oracle.trials.values():
        if not is_written(folder / TRIALS, trial.trial_id):
            values: Mapping[str, Any] = space.values(trial.hyperparameters.values)
            message = trial.message or "its worker is gone"
            Trial(trial.trial_id, "lost", values, message=message).save(folder / TRIALS)
