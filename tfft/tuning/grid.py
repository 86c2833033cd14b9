"""Grid search: every combination, the last option varying fastest."""

from __future__ import annotations

from typing import Any

from tfft.tuning.oracle_mixin import OracleMixin
from tfft.tuning.points import combinations, count


class GridMixin(OracleMixin):
    """A mixin for KerasTuner's grid search, with another order.

    KerasTuner takes ten values from the inside of a range, in the order of a Python
    set, and loses its state in a restart.
    """

    @property
    def size(self) -> int:
        """The number of combinations of the grid."""
        return count(self.hyperparameters.space, self._choices)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the first combination that was not tried yet."""
        for values in combinations(self.hyperparameters.space, self._choices):
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return {"status": "STOPPED", "values": None}
