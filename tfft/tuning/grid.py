"""Grid search: every combination, in the order a person would write them down."""

from __future__ import annotations

from typing import Any

from tfft.tuning.careful import Careful
from tfft.tuning.points import combinations, count


class CarefulGrid(Careful):
    """Mixed into KerasTuner's grid search, whose own order it replaces.

    That one takes ten values from the inside of a range, in the order of a Python
    set, and its state does not survive a restart.
    """

    @property
    def size(self) -> int:
        """How many combinations the grid has."""
        return count(self.hyperparameters.space, self._choices)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the first combination that was not tried."""
        for values in combinations(self.hyperparameters.space, self._choices):
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return {"status": "STOPPED", "values": None}
