"""Statistics of single rows, from which slices, intervals and curves are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


def _none() -> np.ndarray:
    return np.zeros(0)


@dataclass(frozen=True)
class Evidence:
    """Statistics by row; their sums give the scores of any set of rows.

    Attributes:
        statistics: Values that can be summed, such as counts of right answers, shape
            (rows, k).
        score: Maps sums of statistics, shape (..., k), to scores by name, each of
            shape (...).
        badness: The degree of error of each answer, 0 for right ones, shape (rows,).
        right: The right answer of each row, in words.
        answers: The model's answer to each row, in words.
        confidences: The confidence of each answer, shape (answers,).
        hits: Whether each answer is right, shape (answers,).
        curves: For each label, the score of each row and whether the row has the
            label, both of shape (rows,).
    """

    statistics: np.ndarray
    score: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    badness: np.ndarray
    right: Sequence[str]
    answers: Sequence[str]
    confidences: np.ndarray = field(default_factory=_none)
    hits: np.ndarray = field(default_factory=_none)
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Returns above / below, and 0 where below is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, 0. ])
    """
    return np.divide(
        above, below, out=np.zeros_like(above, "float64"), where=below != 0
    )


def f1(found: np.ndarray, predicted: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns F1 from counts: 2 found / (predicted + right)."""
    return ratio(2 * found, predicted + right)


def intervals(
    evidence: Evidence, seed: int = 0, samples: int = 1000, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Returns percentile bootstrap intervals of the scores (Efron, 1979).

    Args:
        evidence: The statistics of all rows, which are drawn with replacement.
        seed: For the draws.
        samples: Number of draws.
        level: Share of the draws that the interval contains.
    """
    rows = len(evidence.statistics)
    random = np.random.default_rng(seed)
    sums = np.stack(
        [
            np.bincount(random.integers(0, rows, rows), minlength=rows)
            @ evidence.statistics
            for _ in range(samples)
        ]
    )
    tail = (1 - level) / 2
    return {
        name: tuple(float(edge) for edge in np.quantile(values, (tail, 1 - tail)))
        for name, values in evidence.score(sums).items()
    }


def scores_of(evidence: Evidence, rows: Sequence[int]) -> dict[str, float]:
    """Returns the scores of some rows."""
    sums = evidence.statistics[list(rows)].sum(axis=0)
    return {name: float(value) for name, value in evidence.score(sums).items()}
