"""The loss scale for float16, where small gradients would round to zero."""

from __future__ import annotations

from dataclasses import dataclass

from tfft.core.errors import DivergedError
from tfft.training.position import Position


@dataclass(frozen=True)
class LossScale:
    """Doubles the scale after a series of good steps, halves it after a bad one.

    Dynamic loss scaling (Micikevicius et al., 2017, arXiv:1710.03740, section 3.2). The
    scale itself is stored in the `Position`, so that a resumed training has it.

    Attributes:
        first: The scale at the start.
        interval: Number of good steps after which it doubles.
        least: Smallest scale: below it, the gradient itself is the problem.
    """

    first: float = 2.0**15
    interval: int = 2000
    least: float = 1e-4

    def adjust(self, position: Position, finite: bool) -> None:
        """Changes the scale after a step.

        Raises:
            DivergedError: When no scale makes the gradient finite.
        """
        position.good_steps = position.good_steps + 1 if finite else 0
        if not finite:
            position.loss_scale /= 2
        elif position.good_steps == self.interval:
            position.loss_scale, position.good_steps = position.loss_scale * 2, 0
        if position.loss_scale < self.least:
            raise DivergedError(
                "the gradient is not finite at any loss scale",
                where=f"epoch {position.epoch + 1}, step {position.step}",
                fix='train with precision="float32", or lower learning_rate',
            )
