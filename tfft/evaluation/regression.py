"""The report of regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, ratio
from tfft.evaluation.metrics import falling, rising
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.tables import ReportTable

# Answers within this share of the range of the right ones count as one answer.
_CONSTANT = 1e-4


@REPORTS.register("regression")
@dataclass(frozen=True)
class RegressionReport(Report):
    """Errors by scikit-learn, correlations by SciPy.

    Attributes:
        summary: Mean squared error, its root, mean absolute error, R², Pearson's and
            Spearman's correlation; the correlations are 0 when one side is constant.
        rows: Number of rows.
        notes: One sentence for each thing that the scores hide.
        details: Intervals, slices and errors.
    """

    described = (
        falling("mse", "mean of squared errors", "scikit-learn: mean_squared_error"),
        falling("rmse", "root of mse"),
        falling("mae", "mean of absolute errors", "scikit-learn: mean_absolute_error"),
        rising("r2", "1 − mse / variance of the rows", "scikit-learn: r2_score"),
        rising("pearson", "linear correlation", "SciPy: pearsonr"),
        rising("spearman", "correlation of ranks", "SciPy: spearmanr"),
    )
    monitor = described[0].monitor

    summary: dict[str, float]
    rows: int
    notes: tuple[str, ...] = ()
    details: Details | None = None

    @classmethod
    def make(
        cls, predictions: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> RegressionReport:
        """Returns the report.

        Args:
            predictions: The predicted numbers, shape (rows,).
            gold: The right numbers, shape (rows,).
            labels: Not used.

        >>> report = RegressionReport.make(np.array([1.0, 3.0]), np.array([1.0, 2.0]), ())
        >>> report.metrics["mse"], report.metrics["mae"]
        (0.5, 0.5)
        """  # noqa: E501 (a doctest)
        from scipy import stats
        from sklearn import metrics

        varied = len(gold) > 1 and np.ptp(gold) > 0 and np.ptp(predictions) > 0
        pearson = stats.pearsonr(gold, predictions).statistic if varied else 0.0
        spearman = stats.spearmanr(gold, predictions).statistic if varied else 0.0
        mse = float(metrics.mean_squared_error(gold, predictions))
        summary = {
            "mse": mse,
            "rmse": mse**0.5,
            "mae": float(metrics.mean_absolute_error(gold, predictions)),
            "r2": float(metrics.r2_score(gold, predictions)) if len(gold) > 1 else 0.0,
            "pearson": float(pearson),
            "spearman": float(spearman),
        }
        spread = float(np.ptp(gold))
        constant = spread > 0 and np.ptp(predictions) < _CONSTANT * spread
        note = f"all {len(gold):,} rows are given the same number, {predictions[0]:.4g}"
        return cls(summary, len(gold), (note,) * bool(constant))

    @classmethod
    def evidence(
        cls, predictions: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""
        # Relative to the mean: sums of squares of large numbers lose digits.
        x, y = gold - gold.mean(), predictions - gold.mean()
        apart = np.abs(predictions - gold)
        ones = np.ones(len(gold))
        return Evidence(
            np.stack([ones, x, y, x * x, y * y, x * y, apart, apart**2], axis=1),
            _scores_of,
            badness=apart,
            right=[f"{one:.4g}" for one in gold],
            answers=[f"{one:.4g}" for one in predictions],
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The summary."""
        return self.summary

    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""
        return {"summary": self.summary, "rows": self.rows}

    def tables(self) -> list[ReportTable]:
        """Returns the table of scores."""
        rows = tuple((name, f"{value:.4f}") for name, value in self.summary.items())
        return [ReportTable(f"Regression on {self.rows:,} rows", ("", ""), rows)]


def _scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the scores from sums of 1, x, y, xx, yy, xy, |x - y| and its square."""
    n, x, y, xx, yy, xy, apart, squared = np.moveaxis(sums, -1, 0)
    x_spread = np.maximum(n * xx - x * x, 0)
    y_spread = np.maximum(n * yy - y * y, 0)
    mse = ratio(squared, n)
    return {
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mae": ratio(apart, n),
        "r2": np.where(x_spread > 0, 1 - ratio(n * squared, x_spread), 0.0),
        "pearson": ratio(n * xy - x * y, np.sqrt(x_spread * y_spread)),
    }
