"""A training that takes a second or two, and one table of characters for all."""

from __future__ import annotations

from tests.recipes.conftest import tune
from tests.tasks.conftest import _one_character_table

__all__ = ["_one_character_table", "tune"]
