"""Names of options, without TensorFlow so that a parser can list them."""

from __future__ import annotations

from typing import Literal

Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
OnNaN = Literal["stop", "skip"]
