"""The report of a classifier: scores by class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.core.errors import shorten
from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, f1, ratio
from tfft.evaluation.few_rows import few_rows_note
from tfft.evaluation.metrics import falling, rising
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.tables import ReportTable

_LARGEST_MATRIX = 20


@REPORTS.register("text_classification")
@dataclass(frozen=True)
class TextClassificationReport(Report):
    """Scores of a classifier, by scikit-learn.

    Attributes:
        labels: The class names in the order of their ids.
        summary: Accuracy, macro F1, weighted F1, mean loss, number of rows.
        classes: Precision, recall, F1 and number of rows of each class.
        confusion: Number of rows of class i that were classified as class j.
        notes: One sentence for each thing that the scores hide.
        details: Intervals, slices, calibration, curves and errors.
    """

    described = (
        rising(
            "accuracy",
            "share of rows whose most probable class is right",
            "scikit-learn: accuracy_score",
        ),
        rising(
            "macro_f1",
            "mean of the F1 of the classes",
            "scikit-learn: classification_report",
        ),
        rising(
            "weighted_f1",
            "mean of the F1 of the classes, weighted by their rows",
            "scikit-learn: classification_report",
        ),
        falling("loss", "mean of −log p of the right class"),
    )
    monitor = described[-1].monitor

    labels: tuple[str, ...]
    summary: dict[str, float]
    classes: dict[str, dict[str, float]]
    confusion: np.ndarray
    notes: tuple[str, ...] = ()
    details: Details | None = None

    @classmethod
    def make(
        cls, probabilities: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> TextClassificationReport:
        """Returns the report.

        Args:
            probabilities: Shape (rows, classes); each row sums to 1.
            gold: The right class ids, shape (rows,).
            labels: The class names.

        >>> report = TextClassificationReport.make(
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
        matrix = confusion_matrix(gold, predicted, labels=ids)
        return cls(names, summary, classes, matrix, _notes(predicted, gold, names))

    @classmethod
    def evidence(
        cls, predictions: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""
        names, count = [str(label) for label in labels], len(labels)
        predicted = predictions.argmax(axis=-1)
        right = predictions[np.arange(len(gold)), gold].astype("float64")
        losses = -np.log(np.maximum(right, np.finfo("float32").tiny))
        hits = predicted == gold
        one_hot = np.eye(count)
        statistics = np.concatenate(
            [
                one_hot[gold] * hits[:, None],
                one_hot[predicted],
                one_hot[gold],
                np.stack([hits, losses, np.ones(len(gold))], axis=1),
            ],
            axis=1,
        )
        return Evidence(
            statistics,
            lambda sums: _scores_of(sums, count),
            badness=np.where(hits, 0.0, losses),
            right=[names[one] for one in gold],
            answers=[names[one] for one in predicted],
            confidences=predictions.max(axis=-1),
            hits=hits,
            curves={
                name: (predictions[:, index], gold == index)
                for index, name in enumerate(names)
            },
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Accuracy, macro F1, weighted F1 and loss."""
        return {name: value for name, value in self.summary.items() if name != "rows"}

    def matrix(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the labels and the confusion matrix."""
        return self.labels, self.confusion

    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""
        return {
            "labels": list(self.labels),
            "summary": self.summary,
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
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


def _notes(
    predicted: np.ndarray, gold: np.ndarray, names: Sequence[str]
) -> tuple[str, ...]:
    """Returns what an accuracy alone hides: too few rows, or one answer for all."""
    few = few_rows_note(len(gold))
    given = set(predicted.tolist())
    if len(given) != 1 or len(set(gold.tolist())) == 1:
        return few
    return (
        *few,
        f"all {len(gold):,} rows are given {shorten(names[given.pop()])}: the model "
        "does not tell the classes apart",
    )


def _scores_of(sums: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Returns the metrics from sums: counts by class, right answers, losses, rows."""
    found, predicted, right = np.split(sums[..., : 3 * classes], 3, axis=-1)
    hits, losses, rows = np.moveaxis(sums[..., 3 * classes :], -1, 0)
    by_class = f1(found, predicted, right)
    return {
        "accuracy": ratio(hits, rows),
        "macro_f1": by_class.mean(axis=-1),
        "weighted_f1": ratio((by_class * right).sum(axis=-1), rows),
        "loss": ratio(losses, rows),
    }
