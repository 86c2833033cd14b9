"""Fixtures of the tests in this folder."""

from __future__ import annotations

from tests.fixtures.trainings import head_training as tune

__all__ = ["tune"]
