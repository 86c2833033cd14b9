"""A mixin for KerasTuner's oracles: atomic state files, and no point twice."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import TrialStatus

from tfft.core.errors import DataError
from tfft.core.files import write_atomically, write_json
from tfft.core.signals import uninterrupted
from tfft.tuning.points import Values, combinations, count, is_continuous, values_of

SCORE = "score"
# Untried points to choose from, out of possibly millions.
MOST_CANDIDATES = 1000


class OracleMixin:
    """A mixin for an oracle that writes atomically and repeats no point.

    Signals wait until a state is written. A trial that diverged has an infinite
    score, the worst possible one: see `run_search`.
    """

    points = 5  # of each continuous range, in a grid

    def create_trial(self, tuner_id: str) -> Any:
        """Returns the next trial. At the end, workers wait for the trials of others."""
        with uninterrupted():
            trial = super().create_trial(tuner_id)
            if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
                # If a worker dies, another one must be there to take its trial.
                trial.status = TrialStatus.IDLE
                self.tuner_ids.add(tuner_id)
            return trial

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
        """Records the score of a trial."""
        with uninterrupted():
            return super().update_trial(trial_id, metrics, step=step)

    def end_trial(self, trial: Any) -> None:
        """Ends a trial."""
        with uninterrupted(), contextlib.redirect_stdout(io.StringIO()):
            super().end_trial(trial)

    def save(self) -> None:
        """Writes the state atomically; KerasTuner would truncate the file first."""
        write_json(Path(self._project_dir) / "oracle.json", self.get_state())

    def _save_trial(self, trial: Any) -> None:
        path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        write_atomically(path, lambda target: trial.save(str(target)))

    def reload(self) -> None:
        """Reads the state; trials that are not in it start again."""
        for path in sorted(Path(self._project_dir).rglob("*.json")):
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataError(
                    "a file of the search is damaged",
                    where=str(path),
                    expected="the JSON that KerasTuner wrote",
                    fix="restore it, or start again with overwrite",
                ) from error
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order}

    @property
    def size(self) -> int | None:
        """The number of points in the space; None when it is infinite."""
        space = self.hyperparameters.space
        if any(map(is_continuous, space)):
            return None
        return count(space, self._choices)

    @property
    def wanted(self) -> float:
        """The number of different points that the search would try."""
        return self.max_trials or math.inf

    def _choices(self, entry: Any) -> list[Any]:
        return values_of(entry, self.points)

    def _random_values(self) -> Values | None:
        """Draws values that were not tried before; None when all were tried.

        KerasTuner gives up after 20 draws of known points, although others are left.
        """
        drawn = super()._random_values()
        left = [] if drawn else list(itertools.islice(self._untried(), MOST_CANDIDATES))
        if left:
            drawn = random.Random(self._seed_state).choice(left)
            self._seed_state += 1
        return drawn

    def _untried(self) -> Iterator[Values]:
        """Yields untried points, with one random value for each continuous range."""
        drawing = random.Random(self._seed_state)

        def some(entry: Any) -> list[Any]:
            if is_continuous(entry):
                return [entry.prob_to_value(drawing.random())]
            return self._choices(entry)

        for values in combinations(self.hyperparameters.space, some):
            if not self._duplicate(values):
                yield values


class ForeignOracleMixin(OracleMixin):
    """The mixin for a user's oracle, which may not support infinite scores."""

    def end_trial(self, trial: Any) -> None:
        """Ends a trial; a trial that diverged counts as failed."""
        score = self.trials[trial.trial_id].metrics.get_best_value(SCORE)
        if trial.status == TrialStatus.COMPLETED and not math.isfinite(score):
            trial.status = TrialStatus.FAILED
        super().end_trial(trial)
