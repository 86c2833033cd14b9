"""Names of schedules and optimizers, without TensorFlow: a parser lists them."""

from __future__ import annotations

SCHEDULES = ("cosine", "linear", "polynomial", "constant")

OPTIMIZERS = ("adamw", "adam", "sgd", "adafactor", "lion", "muon")
