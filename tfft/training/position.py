"""The position of a training: epoch, step, sums and loss scale."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass
class Position:
    """The counters of a training; together with the variables, all a resume needs.

    Attributes:
        epoch: The current epoch, counted from 0.
        step: Number of finished steps in that epoch.
        loss_sum: Sum of the losses of that epoch.
        weight_sum: Sum of their weights.
        gradient_norm: Norm of the last gradient, before clipping.
        skipped: Number of steps skipped because a value was not finite.
        loss_scale: Factor of the loss in float16; 1 in other precisions.
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
        """Starts an epoch's sums, unless the epoch has already begun."""
        if epoch != self.epoch:
            self.epoch, self.step = epoch, 0
            self.loss_sum = self.weight_sum = 0.0

    def add(self, loss_sum: float, weight_sum: float, gradient_norm: float) -> None:
        """Counts a step that was applied."""
        self.step += 1
        self.loss_sum += loss_sum
        self.weight_sum += weight_sum
        self.gradient_norm = gradient_norm

    def skip(self) -> None:
        """Counts a step that was skipped."""
        self.step += 1
        self.skipped += 1

    def logs(self) -> dict[str, float]:
        """Returns the values that callbacks see after a step."""
        mean = self.loss_sum / self.weight_sum if self.weight_sum else 0.0
        logs = {"loss": mean, "gradient_norm": self.gradient_norm}
        return {**logs, "skipped": self.skipped} if self.skipped else logs

    def to_dict(self) -> dict[str, Any]:
        """Returns the counters by name."""
        return dataclasses.asdict(self)
