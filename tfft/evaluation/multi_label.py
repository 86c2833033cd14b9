"""The report of multi-label classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.report import REPORTS, Report, ReportTable

_SCORES = ("precision", "recall", "f1", "support")
_AVERAGES = ("micro avg", "macro avg", "weighted avg", "samples avg")


@REPORTS.register("multi_label")
@dataclass(frozen=True)
class MultiLabelReport(Report):
    """Scores of the labels given, and of their order; all by scikit-learn.

    Attributes:
        summary: Micro, macro and sample F1, share of rows whose labels are all right,
            average precision of the ranking, ranking loss, coverage error (how far
            down the ranking all right labels are found), mean loss.
        labels: Scores of each label and their averages.
        notes: What was left out, a sentence each.
    """

    monitor = ("loss", False)

    summary: dict[str, float]
    labels: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls, predictions: Any, gold: np.ndarray, labels: Sequence[Any]
    ) -> MultiLabelReport:
        """Returns the report of label sets.

        Args:
            predictions: `probabilities` and `chosen`, shape (rows, labels) each.
            gold: 1 for the right labels, else 0, of that shape.
            labels: The label names.
        """
        from sklearn import metrics

        names = [str(label) for label in labels]
        scores = metrics.classification_report(
            gold,
            predictions.chosen,
            labels=range(len(names)),
            target_names=names,
            output_dict=True,
            zero_division=0.0,
        )
        p = predictions.probabilities.astype("float64")
        smallest = float(np.finfo("float32").tiny)
        right = np.where(gold > 0, p, 1 - p)
        ranking = (gold, p)
        summary = {
            "micro_f1": float(scores["micro avg"]["f1-score"]),
            "macro_f1": float(scores["macro avg"]["f1-score"]),
            "sample_f1": float(scores["samples avg"]["f1-score"]),
            "all_right": float((predictions.chosen == (gold > 0)).all(axis=1).mean()),
            "ranking_precision": float(
                metrics.label_ranking_average_precision_score(*ranking)
            ),
            "ranking_loss": float(metrics.label_ranking_loss(*ranking)),
            "coverage": float(metrics.coverage_error(*ranking)),
            "loss": float(-np.log(np.maximum(right, smallest)).mean()),
        }
        table = {
            name: {
                key: float(scores[name][key.replace("f1", "f1-score")])
                for key in _SCORES
            }
            for name in (*names, *_AVERAGES)
        }
        return cls(summary, table)

    @property
    def metrics(self) -> dict[str, float]:
        """The summary."""
        return self.summary

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {
            "summary": self.summary,
            "labels": self.labels,
            "notes": list(self.notes),
        }

    def tables(self) -> list[ReportTable]:
        """Returns the scores of each label, and those of the whole."""
        rows = tuple(
            (
                name,
                *(f"{one[key]:.4f}" for key in _SCORES[:3]),
                f"{one['support']:,.0f}",
            )
            for name, one in self.labels.items()
        )
        header = ("label", "precision", "recall", "F1", "rows")
        summary = tuple((name, f"{value:.4f}") for name, value in self.summary.items())
        return [
            ReportTable("Labels", header, rows),
            ReportTable("Summary", ("", ""), summary),
        ]
