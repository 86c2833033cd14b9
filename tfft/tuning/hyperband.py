"""Hyperband whose brackets continue with fewer trials than planned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfft.tuning.oracle_mixin import OracleMixin
from tfft.tuning.points import Values

_ENDED = ("COMPLETED", "FAILED")
_EXHAUSTED = "exhausted"

Bracket = dict[str, Any]


class HyperbandMixin(OracleMixin):
    """A mixin for KerasTuner's Hyperband (Li et al., 2018, algorithm 1).

    KerasTuner ends the search when a first round cannot be filled, and a failed trial
    takes up a place in the next round. Here a round that cannot be filled is complete,
    and the best successful trials go on to the next round: as many as planned, or
    fewer.
    """

    @property
    def wanted(self) -> int:
        """The number of different points that the search would try."""
        brackets = range(self._get_num_brackets())
        first = sum(self._get_size(number, 0) for number in brackets)
        return first * self.hyperband_iterations

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial and its number of epochs."""
        while True:
            for bracket in self._brackets:
                values = self._next_values(bracket, trial_id)
                if values is not None:
                    return {"status": "RUNNING", "values": values}
            last = self._current_iteration + 1 == self.hyperband_iterations
            exhausted = any(one.get(_EXHAUSTED) for one in self._brackets)
            if exhausted or (last and self._current_bracket == 0):
                waits = bool(self.ongoing_trials)
                return {"status": "IDLE" if waits else "STOPPED", "values": None}
            self._increment_bracket_num()
            self._start_new_bracket()

    def _next_values(self, bracket: Bracket, trial_id: str) -> Values | None:
        """Returns the next values of a bracket; None when it has to wait."""
        rounds = bracket["rounds"]
        for number, members in enumerate(rounds):
            if self._is_full(bracket, number):
                continue
            if number == 0:
                values = None if bracket.get(_EXHAUSTED) else self._random_values()
                if values is None:
                    bracket[_EXHAUSTED] = True
                    continue
                members.append({"past_id": None, "id": trial_id})
                return {**values, **self._bracket_values(bracket, 0)}
            if not self._has_ended(rounds[number - 1]):
                return None
            best = self._best_of(rounds[number - 1], members)
            if best is not None:
                members.append({"past_id": best.trial_id, "id": trial_id})
                values = dict(best.hyperparameters.values)
                added = self._bracket_values(bracket, number)
                return {**values, "tuner/trial_id": best.trial_id, **added}
        return None

    def _is_full(self, bracket: Bracket, number: int) -> bool:
        size = self._get_size(bracket["bracket_num"], number)
        return len(bracket["rounds"][number]) >= size

    def _has_ended(self, members: list[Mapping[str, Any]]) -> bool:
        return all(self.trials[one["id"]].status in _ENDED for one in members)

    def _best_of(
        self, members: list[Mapping[str, Any]], promoted: list[Mapping[str, Any]]
    ) -> Any:
        """Returns the best trial of a round that is not promoted yet, or None.

        Trials that diverged are never promoted: they would diverge again.
        """
        gone = {one["past_id"] for one in promoted}
        left = [self.trials[one["id"]] for one in members if one["id"] not in gone]
        sign = -1.0 if self.objective.direction == "max" else 1.0
        scored = [
            one
            for one in left
            if one.status == "COMPLETED" and math.isfinite(one.score)
        ]
        return min(scored, key=lambda one: sign * one.score, default=None)

    def _bracket_values(self, bracket: Bracket, number: int) -> Values:
        """Returns the entries that KerasTuner adds to the values of a trial."""
        which = bracket["bracket_num"]
        return {
            "tuner/epochs": self._get_epochs(which, number),
            "tuner/initial_epoch": self._get_epochs(which, number - 1) if number else 0,
            "tuner/bracket": which,
            "tuner/round": number,
        }
