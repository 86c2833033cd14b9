"""The details of a report: intervals, slices, calibration, curves, worst errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfft.evaluation.calibration import Calibration, calibrate
from tfft.evaluation.evidence import Evidence, intervals, scores_of
from tfft.evaluation.tables import ReportTable

_WORST = 10
_TEXT = 300
_MOST_CURVES = 10
_MOST_SLICES = 50
_CURVE_POINTS = 200


@dataclass(frozen=True)
class Curve:
    """ROC and precision-recall curves of one label against the others.

    Attributes:
        auc: Area under the ROC curve.
        average_precision: Mean precision over the recall.
        roc: False positive rates, and true positive rates.
        precision_recall: Recalls, and precisions.
    """

    auc: float
    average_precision: float
    roc: tuple[tuple[float, ...], tuple[float, ...]]
    precision_recall: tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class WrongAnswer:
    """A row with a wrong answer.

    Attributes:
        where: The place of the row in the data.
        text: The beginning of its text.
        right: The right answer.
        answer: The model's answer.
        badness: The degree of error; higher is worse.
    """

    where: str
    text: str
    right: str
    answer: str
    badness: float


@dataclass(frozen=True)
class Details:
    """The details behind the scores of a report.

    Attributes:
        intervals: Lower and upper end of the 95 % interval of each score.
        slices: Scores by column and value, and their number of `rows`.
        calibration: Confidence and accuracy; None for answers without confidence.
        curves: The curves of each label.
        worst: The worst errors, worst first.
    """

    intervals: dict[str, tuple[float, float]]
    slices: dict[str, dict[str, dict[str, float]]]
    calibration: Calibration | None
    curves: dict[str, Curve]
    worst: tuple[WrongAnswer, ...]

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        texts: Sequence[tuple[str, ...]],
        places: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        seed: int = 0,
    ) -> Details:
        """Computes the details of some rows.

        Args:
            evidence: The statistics of each row.
            texts: The texts of each row.
            places: The place of each row in the data.
            columns: The values to slice by, for each column.
            seed: For the bootstrap.
        """
        sure = len(evidence.confidences) > 0
        return cls(
            intervals(evidence, seed),
            {name: _slices(evidence, values) for name, values in columns.items()},
            calibrate(evidence.confidences, evidence.hits) if sure else None,
            _curves(evidence),
            tuple(_worst(evidence, texts, places)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns all details as plain values for JSON."""
        return asdict(self)

    def tables(self) -> list[ReportTable]:
        """Returns the tables of the details."""
        tables = [_interval_table(self.intervals)]
        tables += [_slice_table(name, one) for name, one in self.slices.items()]
        if self.calibration:
            tables.append(_calibration_table(self.calibration))
        if self.curves:
            tables.append(_curve_table(self.curves))
        if self.worst:
            tables.append(_worst_table(self.worst))
        return tables


def _slices(evidence: Evidence, values: Sequence[Any]) -> dict[str, dict[str, float]]:
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        rows.setdefault(str(value), []).append(row)
    largest = sorted(rows, key=lambda name: (-len(rows[name]), name))[:_MOST_SLICES]
    return {
        name: {**scores_of(evidence, rows[name]), "rows": float(len(rows[name]))}
        for name in largest
    }


def _curves(evidence: Evidence) -> dict[str, Curve]:
    """Returns the curves of labels that some rows have and others do not."""
    from sklearn import metrics

    found = {}
    for label, (scores, truth) in evidence.curves.items():
        if truth.any() and not truth.all() and len(found) < _MOST_CURVES:
            false, true, _ = metrics.roc_curve(truth, scores)
            precision, recall, _ = metrics.precision_recall_curve(truth, scores)
            found[label] = Curve(
                float(metrics.auc(false, true)),
                float(metrics.average_precision_score(truth, scores)),
                (_thinned(false), _thinned(true)),
                (_thinned(recall), _thinned(precision)),
            )
    return found


def _thinned(values: np.ndarray) -> tuple[float, ...]:
    """Returns at most 200 points of a curve, both ends included."""
    count = min(len(values), _CURVE_POINTS)
    at = np.linspace(0, len(values) - 1, count).round().astype("int64")
    return tuple(float(value) for value in values[at])


def _worst(
    evidence: Evidence, texts: Sequence[tuple[str, ...]], places: Sequence[str]
) -> list[WrongAnswer]:
    order = np.argsort(-evidence.badness, kind="stable")[:_WORST]
    return [
        WrongAnswer(
            places[row],
            " | ".join(texts[row])[:_TEXT],
            evidence.right[row],
            evidence.answers[row],
            float(evidence.badness[row]),
        )
        for row in order
        if evidence.badness[row] > 0
    ]


def _interval_table(found: dict[str, tuple[float, float]]) -> ReportTable:
    rows = tuple((name, f"{a:.4f}", f"{b:.4f}") for name, (a, b) in found.items())
    return ReportTable("95 % intervals (bootstrap)", ("score", "from", "to"), rows)


def _slice_table(column: str, slices: dict[str, dict[str, float]]) -> ReportTable:
    names = tuple(next(iter(slices.values())))[:-1]
    rows = tuple(
        (value, *(f"{one[name]:.4f}" for name in names), f"{one['rows']:,.0f}")
        for value, one in slices.items()
    )
    return ReportTable(f"By {column}", (column, *names, "rows"), rows)


def _calibration_table(found: Calibration) -> ReportTable:
    rows = tuple(
        (f"{a:.4f}", f"{b:.4f}", f"{n:,}")
        for a, b, n in zip(found.confidence, found.accuracy, found.answers, strict=True)
    )
    title = f"Calibration: expected error {found.error:.4f}"
    return ReportTable(title, ("mean confidence", "accuracy", "answers"), rows)


def _curve_table(curves: dict[str, Curve]) -> ReportTable:
    rows = tuple(
        (name, f"{one.auc:.4f}", f"{one.average_precision:.4f}")
        for name, one in curves.items()
    )
    header = ("label", "area under ROC", "average precision")
    return ReportTable("Each label against the others", header, rows)


def _worst_table(worst: Sequence[WrongAnswer]) -> ReportTable:
    rows = tuple((one.where, one.right, one.answer, one.text) for one in worst)
    return ReportTable("Worst errors", ("row", "right", "answer", "text"), rows)
