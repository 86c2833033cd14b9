"""Bayesian optimization that learns from failed trials and repeats no point."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.core.seeds import derive
from tfft.tuning.oracle_mixin import MOST_CANDIDATES, OracleMixin
from tfft.tuning.points import Values, is_active

# The coordinate of an option that is not set: in the middle of its range.
_MIDDLE = 0.5


class BayesianMixin(OracleMixin):
    """A mixin for KerasTuner's Bayesian optimization.

    The random state depends on the trial, so a resumed search draws the same values.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial."""
        from sklearn.exceptions import ConvergenceWarning

        self._random_state = np.random.RandomState(derive(self.seed, trial_id))
        with warnings.catch_warnings():
            # With few trials a length scale at its bound is normal.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = super().populate_space(trial_id)
        values = found["values"]
        if values is not None and self._duplicate(values):
            values = self._best_untried()
        status = "STOPPED" if values is None else "RUNNING"
        return {"status": status, "values": values}

    def _best_untried(self) -> Values | None:
        """Returns the untried point with the lowest acquisition value.

        KerasTuner minimizes the acquisition function over a continuous space and
        rounds, so its minimum can be a point that was tried before.
        """
        candidates = list(itertools.islice(self._untried(), MOST_CANDIDATES))
        if candidates and self.size != len(candidates) + len(self._tried_so_far):
            candidates = [self._random_values() for _ in range(MOST_CANDIDATES // 5)]
        if not candidates:
            return None
        vectors = np.array([self._vector(values) for values in candidates])
        mean, deviation = self.gpr.predict(vectors, return_std=True)
        return candidates[int(np.argmin(mean - self.beta * deviation))]

    def _vector(self, values: Mapping[str, Any]) -> list[float]:
        """Returns the coordinates of a point, each between 0 and 1."""
        return [
            entry.value_to_prob(values[entry.name])
            if entry.name in values and is_active(entry, values)
            else _MIDDLE
            for entry in self._nonfixed_space()
        ]

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the points of all trials and their scores; lower is better.

        A trial that diverged gets the worst finite score. A trial that is still
        running gets its predicted score plus one standard deviation.
        """
        sign = -1.0 if self.objective.direction == "max" else 1.0
        ended = [one for one in self.trials.values() if one.status == "COMPLETED"]
        scores = [sign * one.score for one in ended]
        worst = max(filter(math.isfinite, scores), default=0.0)
        points = [self._vector(one.hyperparameters.values) for one in ended]
        found = [one if math.isfinite(one) else worst for one in scores]
        for one in self.ongoing_trials.values():
            points.append(self._vector(one.hyperparameters.values))
            mean, deviation = self.gpr.predict([points[-1]], return_std=True)
            found.append(float(mean[0] + deviation[0]))
        return np.array(points), np.array(found)
