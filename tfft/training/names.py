"""Names that options accept, without TensorFlow so that a parser can list them."""

from __future__ import annotations

from typing import Literal

Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
OnNaN = Literal["stop", "skip"]

SCHEDULES = ("cosine", "linear", "polynomial", "constant")
OPTIMIZERS = ("adamw", "adam", "sgd", "adafactor", "lion", "muon")
