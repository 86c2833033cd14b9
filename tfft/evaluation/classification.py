"""The report of a classifier: scores by class, and who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.report import REPORTS, Report, ReportTable

_LARGEST_MATRIX = 20


@REPORTS.register("classification")
@dataclass(frozen=True)
class ClassificationReport(Report):
    """Scores by scikit-learn.

    Attributes:
        labels: The class names in the order of their ids.
        summary: Accuracy, macro F1, weighted F1, mean loss, number of rows.
        classes: Precision, recall, F1 and rows of each class.
        confusion: Rows of class i that were taken for class j.
        notes: What was left out, a sentence each.
    """

    monitor = ("loss", False)

    labels: tuple[str, ...]
    summary: dict[str, float]
    classes: dict[str, dict[str, float]]
    confusion: np.ndarray
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls, probabilities: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> ClassificationReport:
        """Returns the report of probabilities, shape (rows, classes).

        Args:
            probabilities: Each row sums to 1.
            gold: The right ids, shape (rows,).
            labels: The class names.

        >>> report = ClassificationReport.make(
        ...     np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), ["ham", "spam"])
        >>> report.metrics["accuracy"], report.confusion.tolist()
        (0.5, [[1, 0], [1, 0]])
        """
        from sklearn.metrics import classification_report, confusion_matrix

        names = tuple(str(label) for label in labels)
        ids = list(range(len(names)))
        predicted = probabilities.argmax(axis=-1)
        scores = classification_report(
            gold, predicted, labels=ids, output_dict=True, zero_division=0.0
        )
        right = probabilities[np.arange(len(gold)), gold]
        smallest = np.finfo("float32").tiny
        summary = {
            "accuracy": float((predicted == gold).mean()),
            "macro_f1": float(scores["macro avg"]["f1-score"]),
            "weighted_f1": float(scores["weighted avg"]["f1-score"]),
            "loss": float(-np.log(np.maximum(right, smallest)).mean()),
            "rows": float(len(gold)),
        }
        classes = {
            name: {
                "precision": float(scores[str(index)]["precision"]),
                "recall": float(scores[str(index)]["recall"]),
                "f1": float(scores[str(index)]["f1-score"]),
                "rows": float(scores[str(index)]["support"]),
            }
            for index, name in enumerate(names)
        }
        return cls(
            names, summary, classes, confusion_matrix(gold, predicted, labels=ids)
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Accuracy, macro F1, weighted F1 and loss."""
        return {name: value for name, value in self.summary.items() if name != "rows"}

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {
            "labels": list(self.labels),
            "summary": self.summary,
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
            "notes": list(self.notes),
        }

    def tables(self) -> list[ReportTable]:
        """Returns the scores, and the confusion matrix of up to 20 classes."""
        tables = [self._scores()]
        if len(self.labels) <= _LARGEST_MATRIX:
            tables.append(self._matrix())
        return tables

    def _scores(self) -> ReportTable:
        rows = [
            (
                name,
                *(f"{one[key]:.4f}" for key in ("precision", "recall", "f1")),
                f"{one['rows']:,.0f}",
            )
            for name, one in self.classes.items()
        ]
        total = f"{self.summary['rows']:,.0f}"
        rows.append(("macro F1", "", "", f"{self.summary['macro_f1']:.4f}", total))
        rows.append(("accuracy", "", "", f"{self.summary['accuracy']:.4f}", total))
        header = ("class", "precision", "recall", "F1", "rows")
        return ReportTable("Classification report", header, tuple(rows))

    def _matrix(self) -> ReportTable:
        rows = tuple(
            (name, *(f"{count:,}" for count in counts))
            for name, counts in zip(self.labels, self.confusion, strict=True)
        )
        title = "Confusion matrix: rows are the right classes, columns the answers"
        return ReportTable(title, ("", *self.labels), rows)
