"""Folds: every row is tested once, by a model that was not trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from tfft.core.errors import ConfigError
from tfft.core.seeds import derive


def k_folds(
    strata: Sequence[Hashable], groups: Sequence[Hashable], count: int, seed: int
) -> list[list[int]]:
    """Returns the rows of each fold, using scikit-learn's stratified splitters.

    Args:
        strata: One value for each row; each fold gets the same proportions of them.
            Values with fewer rows than folds are distributed freely.
        groups: One value for each row; rows with the same value stay in one fold.
        count: Number of folds.
        seed: Seed that decides which rows go where.

    Raises:
        ConfigError: For fewer groups than folds.

    >>> k_folds("aabb", range(4), 2, seed=0)
    [[1, 2], [0, 3]]
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    known = _numbers(groups)
    found = len(set(known))
    if found < count:
        raise ConfigError(
            f"folds={count} with {found:,} groups of rows",
            where=f"{len(groups):,} rows",
            expected="at least one group for each fold",
            fix="use fewer folds, or more rows",
        )
    alone = found == len(groups)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    splitter = kind(count, shuffle=True, random_state=derive(seed, "folds"))
    classes = _common(strata, count)
    parts = splitter.split(classes, classes, None if alone else known)
    return [sorted(int(row) for row in test) for _, test in parts]


def merged_groups(*keys: Sequence[Hashable]) -> list[int]:
    """Groups the rows that have any key in common.

    Args:
        *keys: Each holds one value for each row, such as texts and threads.

    >>> merged_groups("aab", [1, 2, 2])
    [0, 0, 0]
    >>> merged_groups("aab", [1, 2, 3])
    [0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = len(keys[0])
    starts, ends, size = [], [], rows  # nodes: first the rows, then the values
    for values in keys:
        known = _numbers(values)
        starts.extend(range(rows))
        ends.extend(size + number for number in known)
        size += len(set(known))
    edges = coo_array((np.ones(len(starts)), (starts, ends)), shape=(size, size))
    _, parts = connected_components(edges, directed=False)
    return _numbers(parts[:rows].tolist())


def _numbers(values: Sequence[Hashable]) -> list[int]:
    """Returns a number for each value, in order of first appearance."""
    known: dict[Hashable, int] = {}
    return [known.setdefault(value, len(known)) for value in values]


def _common(strata: Sequence[Hashable], count: int) -> list[int]:
    """Returns strata as numbers; the rare ones all get the largest number."""
    numbers = _numbers(strata)
    counts = Counter(numbers)
    largest = counts.most_common(1)[0][0]
    return [one if counts[one] >= count else largest for one in numbers]
