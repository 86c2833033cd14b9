"""Bayesian optimization that learns from failures and repeats nothing."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.core.seeds import derive
from tfft.tuning.careful import MOST, Careful
from tfft.tuning.points import Values, is_active

# On the axis of an option that is not set: nearer to neither end of its range.
_MIDDLE = 0.5


class CarefulBayesian(Careful):
    """Mixed into KerasTuner's Bayesian optimization.

    Draws depend on the trial, so that a resumed search makes them too.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial."""
        from sklearn.exceptions import ConvergenceWarning

        self._random_state = np.random.RandomState(derive(self.seed, trial_id))
        with warnings.catch_warnings():
            # A length scale at its bound is what a few trials look like.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = super().populate_space(trial_id)
        values = found["values"]
        if values is not None and self._duplicate(values):
            values = self._best_untried()
        status = "STOPPED" if values is None else "RUNNING"
        return {"status": status, "values": values}

    def _best_untried(self) -> Values | None:
        """Returns the point that the acquisition function likes best, among new ones.

        KerasTuner follows it over a continuous space and rounds: where it is lowest
        may be a point that was tried.
        """
        candidates = list(itertools.islice(self._untried(), MOST))
        if candidates and self.size != len(candidates) + len(self._tried_so_far):
            candidates = [self._random_values() for _ in range(MOST // 5)]
        if not candidates:
            return None
        vectors = np.array([self._vector(values) for values in candidates])
        mean, deviation = self.gpr.predict(vectors, return_std=True)
        return candidates[int(np.argmin(mean - self.beta * deviation))]

    def _vector(self, values: Mapping[str, Any]) -> list[float]:
        """Returns a point between 0 and 1 on each axis."""
        return [
            entry.value_to_prob(values[entry.name])
            if entry.name in values and is_active(entry, values)
            else _MIDDLE
            for entry in self._nonfixed_space()
        ]

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the points tried, and what was found there; less is better.

        A trial that diverged counts as the worst one that did not. One that is
        under way counts as what is expected of it, at the pessimistic end.
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
