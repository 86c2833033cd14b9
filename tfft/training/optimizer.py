"""AdamW with warm-up and decay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfft.training.schedules import Schedule

# Biases and norms set scales of their own; pulling them to zero harms.
_NO_DECAY = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable("tfft")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rise from 0 over the first steps, then a fall to 0 at the last.

    Args:
        peak: The highest learning rate.
        steps: Steps of the whole training.
        warmup_steps: Steps of the rise.
        kind: Form of the fall: "cosine", "linear", or "constant" for none.

    >>> schedule = WarmupDecay(1.0, steps=10, warmup_steps=2, kind="linear")
    >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, peak: float, steps: int, warmup_steps: int, kind: Schedule
    ) -> None:
        self.peak, self.steps = peak, steps
        self.warmup_steps, self.kind = warmup_steps, kind

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(self.warmup_steps, 1)
        span = max(self.steps - self.warmup_steps, 1)
        progress = ops.clip((step - self.warmup_steps) / span, 0.0, 1.0)
        fall = {
            "cosine": 0.5 * (1 + ops.cos(math.pi * progress)),
            "linear": 1 - progress,
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
        }


def adamw(
    variables: Sequence[Any],
    *,
    learning_rate: float,
    steps: int,
    warmup: float,
    schedule: Schedule,
    weight_decay: float,
) -> keras.optimizers.Optimizer:
    """Returns AdamW (Loshchilov & Hutter, 2017, arXiv:1711.05101), built.

    Args:
        variables: What it will train.
        learning_rate: The peak.
        steps: Steps of the whole training.
        warmup: Share of the steps in which the rate rises.
        schedule: Form of the fall.
        weight_decay: Decay per step, times the learning rate; none for biases and
            norms.
    """
    optimizer = keras.optimizers.AdamW(
        WarmupDecay(learning_rate, steps, round(warmup * steps), schedule),
        weight_decay=weight_decay,
    )
    optimizer.exclude_from_weight_decay(
        var_list=[variable for variable in variables if variable.name in _NO_DECAY]
    )
    # Inside the conditional of the train step it could not create its variables.
    optimizer.build(list(variables))
    return optimizer
