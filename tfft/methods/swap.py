"""Replaces values of variables and restores them bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Pairs = Iterable[tuple[Any, Any]]


class Swap:
    """Assigns values to variables and remembers the previous ones.

    Args:
        pairs: Variables and their new values.
        then: Returns more pairs, called after the first are assigned.
    """

    def __init__(self, pairs: Pairs, then: Callable[[], Pairs] = list) -> None:
        self._kept: list[tuple[Any, np.ndarray]] = []
        self._assign(pairs)
        self._assign(then())

    def _assign(self, pairs: Pairs) -> None:
        pairs = list(pairs)
        self._kept += [(variable, np.array(variable)) for variable, _ in pairs]
        for variable, value in pairs:
            variable.assign(value)

    def undo(self) -> None:
        """Restores the previous values."""
        for variable, value in reversed(self._kept):
            variable.assign(value)
        self._kept = []
