"""Where a training stands, in numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass
class Position:
    """The counters of a training; with the variables, all that a resume needs.

    Attributes:
        epoch: The epoch that is under way, counted from 0.
        step: Steps of that epoch that are done.
        loss_sum: Sum of its losses.
        weight_sum: Sum of their weights.
        gradient_norm: Of the last step, unclipped.
        skipped: Steps left out because a value was not finite.
        loss_scale: Factor of the loss in float16; 1 elsewhere.
        good_steps: Steps since the factor changed.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    weight_sum: float = 0.0
    gradient_norm: float = 0.0
    skipped: int = 0
    loss_scale: float = 1.0
    good_steps: int = 0

    def begin(self, epoch: int) -> None:
        """Starts an epoch's sums, unless the epoch is under way already."""
        if epoch != self.epoch:
            self.epoch, self.step = epoch, 0
            self.loss_sum = self.weight_sum = 0.0

    def add(self, loss_sum: float, weight_sum: float, gradient_norm: float) -> None:
        """Counts a step that was taken."""
        self.step += 1
        self.loss_sum += loss_sum
        self.weight_sum += weight_sum
        self.gradient_norm = gradient_norm

    def skip(self) -> None:
        """Counts a step that was left out."""
        self.step += 1
        self.skipped += 1

    def logs(self) -> dict[str, float]:
        """Returns what callbacks see after a step."""
        mean = self.loss_sum / self.weight_sum if self.weight_sum else 0.0
        logs = {"loss": mean, "gradient_norm": self.gradient_norm}
        return {**logs, "skipped": self.skipped} if self.skipped else logs

    def to_dict(self) -> dict[str, Any]:
        """Returns the counters by name."""
        return dataclasses.asdict(self)
