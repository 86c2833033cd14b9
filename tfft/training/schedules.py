"""The names of the schedules, apart from TensorFlow so that a parser can list them."""

from __future__ import annotations

from typing import Literal

Schedule = Literal["cosine", "linear", "constant"]
