"""Fixtures of the tests in this folder."""

from __future__ import annotations

import pytest

from tests.fixtures.trainings import head_training as tune

__all__ = ["tune"]


@pytest.fixture(autouse=True, scope="session")
def _exports_share_a_table(one_character_table):
    pass
