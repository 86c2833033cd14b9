"""What a split keeps in proportion when a row has several labels or a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def rarest(labels: Sequence[Sequence[str]]) -> list[str]:
    """Returns the rarest label of each row, "" for a row without any.

    >>> rarest([["PER", "LOC"], ["PER"], []])
    ['LOC', 'PER', '']
    """
    counts = Counter(label for row in labels for label in set(row))
    return [min(row, key=lambda one: (counts[one], one), default="") for row in labels]


def tenths(values: Sequence[float]) -> list[int]:
    """Returns the tenth of all values in which each lies, from 0 to 9.

    >>> tenths([3.0, 1.0])
    [5, 0]
    """
    order = np.argsort(np.argsort(np.asarray(values), kind="stable"), kind="stable")
    return [int(rank * 10 // len(values)) for rank in order]
