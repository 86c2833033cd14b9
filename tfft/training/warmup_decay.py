"""The learning rate over the steps: a rise, then a fall."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfft")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rise from 0 over the first steps, then a fall to 0 at the last.

    Args:
        peak: The highest learning rate.
        steps: Steps of the whole training.
        warmup_steps: Steps of the rise.
        kind: Form of the fall: "cosine", "linear", "polynomial" for
            (1 - progress) ** power, or "constant" for none.
        power: That of the polynomial. Defaults to 2.

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
        """Returns the learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(self.warmup_steps, 1)
        span = max(self.steps - self.warmup_steps, 1)
        progress = ops.clip((step - self.warmup_steps) / span, 0.0, 1.0)
        fall = {
            "cosine": 0.5 * (1 + ops.cos(math.pi * progress)),
            "linear": 1 - progress,
            "polynomial": (1 - progress) ** self.power,
            "constant": ops.ones_like(progress),
        }[self.kind]
        return self.peak * ops.where(step < self.warmup_steps, rise, fall)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "kind": self.kind,
            "power": self.power,
        }
