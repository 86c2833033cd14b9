"""The report of regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.report import REPORTS, Report, ReportTable


@REPORTS.register("regression")
@dataclass(frozen=True)
class RegressionReport(Report):
    """Errors by scikit-learn, correlations by SciPy.

    Attributes:
        summary: Mean squared error, its root, mean absolute error, R², Pearson's and
            Spearman's correlation; the correlations are 0 when one side is constant.
        rows: Number of rows.
        notes: What was left out, a sentence each.
    """

    monitor = ("mse", False)

    summary: dict[str, float]
    rows: int
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls, predictions: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> RegressionReport:
        """Returns the report of numbers.

        Args:
            predictions: Shape (rows,).
            gold: The right ones, shape (rows,).
            labels: None.

        >>> report = RegressionReport.make(np.array([1.0, 3.0]), np.array([1.0, 2.0]), ())
        >>> report.metrics["mse"], report.metrics["spearman"]
        (0.5, 1.0)
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
        return cls(summary, len(gold))

    @property
    def metrics(self) -> dict[str, float]:
        """The summary."""
        return self.summary

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {"summary": self.summary, "rows": self.rows, "notes": list(self.notes)}

    def tables(self) -> list[ReportTable]:
        """Returns the figures."""
        rows = tuple((name, f"{value:.4f}") for name, value in self.summary.items())
        return [ReportTable(f"Regression on {self.rows:,} rows", ("", ""), rows)]
