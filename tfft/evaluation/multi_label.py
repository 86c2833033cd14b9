"""The report of multi-label classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, f1, ratio
from tfft.evaluation.few_rows import few_rows_note
from tfft.evaluation.metrics import falling, rising
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.tables import ReportTable

_SCORES = ("precision", "recall", "f1", "support")
_AVERAGES = ("micro avg", "macro avg", "weighted avg", "samples avg")


@REPORTS.register("multi_label")
@dataclass(frozen=True)
class MultiLabelReport(Report):
    """Scores of label sets and of the ranking of labels, by scikit-learn.

    Attributes:
        summary: Micro, macro and sample F1, share of rows whose labels are all right,
            average precision of the ranking, ranking loss, coverage error (how far
            down the ranking one must go to find all right labels), mean loss.
        labels: Scores of each label and their averages.
        notes: One sentence for each thing that the scores hide.
        details: Intervals, slices, calibration, curves and errors.
    """

    described = (
        rising(
            "micro_f1",
            "F1 of all pairs of row and label together",
            "scikit-learn: classification_report",
        ),
        rising(
            "macro_f1",
            "mean of the F1 of the labels",
            "scikit-learn: classification_report",
        ),
        rising(
            "sample_f1",
            "mean of the F1 of the rows",
            "scikit-learn: classification_report",
        ),
        rising("all_right", "share of rows whose labels are all right"),
        rising(
            "ranking_precision",
            "mean over the right labels of the share of right labels ranked as high",
            "scikit-learn: label_ranking_average_precision_score",
        ),
        falling(
            "ranking_loss",
            "share of pairs of a right and a wrong label in the wrong order",
            "scikit-learn: label_ranking_loss",
        ),
        falling(
            "coverage",
            "mean depth of the ranking that holds all right labels",
            "scikit-learn: coverage_error",
        ),
        falling("loss", "mean of −log p of each right yes or no"),
    )
    monitor = described[-1].monitor

    summary: dict[str, float]
    labels: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    details: Details | None = None

    @classmethod
    def make(
        cls, predictions: Any, gold: np.ndarray, labels: Sequence[Any]
    ) -> MultiLabelReport:
        """Returns the report.

        Args:
            predictions: `probabilities` and `chosen`, each of shape (rows, labels).
            gold: 1 for the right labels, else 0; shape (rows, labels).
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
        silent = gold.any() and not predictions.chosen.any()
        note = f"no label is given to any of {len(gold):,} rows"
        notes = (*few_rows_note(len(gold)), *(note,) * bool(silent))
        return cls(summary, table, notes)

    @classmethod
    def evidence(
        cls, predictions: Any, gold: np.ndarray, labels: Sequence[Any]
    ) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""
        names = np.array([str(label) for label in labels])
        truth, chosen = gold > 0, predictions.chosen
        found = truth & chosen
        totals = [part.sum(axis=1).astype("float64") for part in (found, chosen, truth)]
        wrong = truth != chosen
        parts = [found, chosen, truth]
        sample_f1, right_rows = f1(*totals), ~wrong.any(axis=1)
        rows = np.stack([sample_f1, right_rows, np.ones(len(gold))], axis=1)
        sure = np.where(
            chosen, predictions.probabilities, 1 - predictions.probabilities
        )
        return Evidence(
            np.concatenate([*parts, rows], axis=1),
            lambda sums: _scores_of(sums, len(names)),
            badness=(wrong * sure).sum(axis=1),
            right=[", ".join(names[row]) or "none" for row in truth],
            answers=[", ".join(names[row]) or "none" for row in chosen],
            confidences=sure.ravel(),
            hits=~wrong.ravel(),
            curves={
                name: (predictions.probabilities[:, index], truth[:, index])
                for index, name in enumerate(names)
            },
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The summary."""
        return self.summary

    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""
        return {"summary": self.summary, "labels": self.labels}

    def tables(self) -> list[ReportTable]:
        """Returns the table of the labels and the table of the summary."""
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


def _scores_of(sums: np.ndarray, labels: int) -> dict[str, np.ndarray]:
    """Returns the scores from sums: counts by label, F1 of rows, right rows, rows."""
    found, predicted, right = np.split(sums[..., : 3 * labels], 3, axis=-1)
    sample_f1, all_right, rows = np.moveaxis(sums[..., 3 * labels :], -1, 0)
    totals = found.sum(axis=-1), predicted.sum(axis=-1), right.sum(axis=-1)
    return {
        "micro_f1": f1(*totals),
        "macro_f1": f1(found, predicted, right).mean(axis=-1),
        "sample_f1": ratio(sample_f1, rows),
        "all_right": ratio(all_right, rows),
    }
