"""The learning rate schedule: a rise, then a fall."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfft")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rise from 0 over the first steps, then a fall to 0 at the last step.

    Args:
        peak: The highest learning rate.
        steps: Number of steps in the whole training.
        warmup_steps: Number of steps in the rise.
        kind: Form of the fall: "cosine", "linear", "polynomial" for
            (1 - progress) ** power, or "constant" for no fall.
        power: The polynomial's exponent. Defaults to 2.

    >>> schedule = WarmupDecay(1.0, steps=10, warmup_steps=2, kind="linear")
    >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, peak: float, steps: int, warmup_steps: int, kind: str, power: float = 2.0
    ) -> None:
        self.peak, self.steps = peak, steps
        self.warmup_steps, self.kind, self.power = warmup_steps, kind, power

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step; steps are counted from 0."""
        return self._rate(step, *self._lengths())

    def _lengths(self) -> tuple[float, ...]:
        """Returns peak, steps of the rise, its divisor, and steps of the fall."""
        rise, fall = max(self.warmup_steps, 1), max(self.steps - self.warmup_steps, 1)
        return self.peak, self.warmup_steps, rise, fall

    def _rate(
        self, step: Any, peak: Any, warmup_steps: Any, rising: Any, falling: Any
    ) -> Any:
        step = ops.cast(step, "float32")
        rise = (step + 1) / rising
        progress = ops.clip((step - warmup_steps) / falling, 0.0, 1.0)
        fall = {
            "cosine": 0.5 * (1 + ops.cos(math.pi * progress)),
            "linear": 1 - progress,
            "polynomial": (1 - progress) ** self.power,
            "constant": ops.ones_like(progress),
        }[self.kind]
        return peak * ops.where(step < warmup_steps, rise, fall)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "kind": self.kind,
            "power": self.power,
        }


class MovableWarmupDecay(WarmupDecay):
    """A schedule for several trainings, one after another, in a step traced once.

    Peak and lengths are variables of the traced step; form and power are fixed.

    Args:
        first: The schedule of the first training.
    """

    def __init__(self, first: WarmupDecay) -> None:
        super().__init__(**first.get_config())
        self._numbers = [keras.Variable(0.0, trainable=False) for _ in range(4)]
        self.become(first)

    def become(self, schedule: WarmupDecay) -> None:
        """Copies peak and lengths from another schedule of the same form."""
        self.peak, self.steps = schedule.peak, schedule.steps
        self.warmup_steps = schedule.warmup_steps
        for variable, value in zip(self._numbers, self._lengths(), strict=True):
            variable.assign(value)

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step; steps are counted from 0."""
        return self._rate(step, *self._numbers)
