"""Scores of several trainings: mean, spread, and tests of a difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.evidence import Evidence
from tfft.evaluation.report import metric_named


@dataclass(frozen=True)
class Spread:
    """The distribution of a metric over several trainings.

    Attributes:
        mean: Mean of the values.
        std: Sample standard deviation (n - 1) of the values.
        low: Lowest value.
        high: Highest value.
    """

    mean: float
    std: float
    low: float
    high: float

    def __str__(self) -> str:
        """Returns `mean ± std`."""
        return f"{self.mean:.4f} ± {self.std:.4f}"


def spread_of(scores: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Returns the spread of each metric that all trainings have.

    Args:
        scores: The metrics of each training; at least two trainings.

    >>> str(spread_of([{"f1": 0.5}, {"f1": 0.7}])["f1"])
    '0.6000 ± 0.1414'
    """
    common = [name for name in scores[0] if all(name in one for one in scores)]
    found = {}
    for name in common:
        values = np.array([one[name] for one in scores], "float64")
        found[name] = Spread(
            float(values.mean()),
            float(values.std(ddof=1)),
            float(values.min()),
            float(values.max()),
        )
    return found


def gain(name: str, before: Any, after: Any) -> Any:
    """Returns by how much a metric improved; negative when it got worse.

    >>> gain("loss", 0.5, 0.25), gain("f1", 0.5, 0.25)
    (0.25, -0.25)
    """
    return after - before if metric_named(name).higher_is_better else before - after


@dataclass(frozen=True)
class PairedTest:
    """A paired test of two trainings on the same folds.

    Attributes:
        difference: Mean score of the second minus mean score of the first.
        statistic: Student's t.
        p_value: Probability of a difference at least as large by chance, two-sided.
    """

    difference: float
    statistic: float
    p_value: float


def corrected_t_test(
    first: Sequence[float], second: Sequence[float], test_share: float
) -> PairedTest:
    """Returns the corrected resampled t-test (Nadeau and Bengio, 2003).

    The plain paired t-test assumes independent folds. But their training rows overlap,
    so it finds differences that do not exist. The correction raises the variance of
    the mean from 1/k to 1/k + test_share.

    Args:
        first: The score of the first training for each fold.
        second: The score of the second training, in the same order.
        test_share: Test rows for each training row: 1 / (k - 1) for k folds.

    >>> corrected_t_test([0.8, 0.7, 0.9], [0.9, 0.9, 0.9], 0.5).p_value > 0.05
    True
    """
    from scipy.stats import t

    differences = np.subtract(second, first, dtype="float64")
    count, mean = len(differences), float(differences.mean())
    variance = float(differences.var(ddof=1))
    if not variance:  # all differences are equal
        statistic = float(np.sign(mean) * np.inf) if mean else 0.0
    else:
        statistic = mean / float(np.sqrt((1 / count + test_share) * variance))
    return PairedTest(mean, statistic, float(2 * t.sf(abs(statistic), count - 1)))


@dataclass(frozen=True)
class Change:
    """The difference between two models on the same rows.

    Attributes:
        gain: By how much the metric improved; negative when it got worse.
        low: Lower end of the 95 % interval of the gain.
        high: Upper end of the 95 % interval of the gain.
    """

    gain: float
    low: float
    high: float


def change_between(
    before: Evidence, after: Evidence, metric: str, seed: int = 0, samples: int = 1000
) -> Change:
    """Returns the change of a metric with its paired bootstrap interval.

    Both models are scored on the same draws of the rows, so rows that are hard for
    both do not widen the interval.

    Args:
        before: The statistics of each row with one model.
        after: The statistics of the same rows with the other model.
        metric: The name of the score.
        seed: For the draws.
        samples: Number of draws.
    """
    rows = len(before.statistics)
    random = np.random.default_rng(seed)
    counts = np.stack(
        [
            np.bincount(random.integers(0, rows, rows), minlength=rows)
            for _ in range(samples)
        ]
    )
    gains = gain(
        metric,
        before.score(counts @ before.statistics)[metric],
        after.score(counts @ after.statistics)[metric],
    )
    every = np.ones(rows)
    low, high = np.quantile(gains, (0.025, 0.975))
    return Change(
        float(
            gain(
                metric,
                before.score(every @ before.statistics)[metric],
                after.score(every @ after.statistics)[metric],
            )
        ),
        float(low),
        float(high),
    )
