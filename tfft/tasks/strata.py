"""Strata for splits of rows with several labels or with a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def rarest(labels: Sequence[Sequence[str]]) -> list[str]:
    """Returns the rarest label of each row, or "" for a row without labels.

    >>> rarest([["PER", "LOC"], ["PER"], []])
    ['LOC', 'PER', '']
    """
    counts = Counter(label for row in labels for label in set(row))
    return [min(row, key=lambda one: (counts[one], one), default="") for row in labels]


def bands(values: Sequence[float]) -> list[int]:
    """Returns for each value which of up to ten equally large groups it is in.

    A group has at least 20 values, so that a tenth of it is at least two.

    >>> bands([3.0, 1.0]), bands(range(40))[19:21]
    ([0, 0], [0, 1])
    """
    count = min(10, max(1, len(values) // 20))
    order = np.argsort(np.argsort(np.asarray(values), kind="stable"), kind="stable")
    return [int(rank * count // len(values)) for rank in order]
