"""The report of question answering, by SQuAD's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, ratio
from tfft.evaluation.few_rows import few_rows_note
from tfft.evaluation.metrics import rising
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.tables import ReportTable
from tfft.tasks.answers.squad_rules import exact, f1


@REPORTS.register("question_answering")
@dataclass(frozen=True)
class QuestionAnsweringReport(Report):
    """Exact match and F1 of all questions, and of those with and without an answer.

    Attributes:
        groups: Scores of `all`, `answer` and `no answer`: exact match and F1 from 0
            to 1, the share of questions that are answered, and their number.
        notes: One sentence for each thing that the scores hide.
        details: Intervals, slices, calibration and errors.
    """

    described = (
        rising(
            "exact_match", "share of answers equal to a right one, by SQuAD's rules"
        ),
        rising("f1", "mean best F1 of words with a right answer, by SQuAD's rules"),
    )
    monitor = described[1].monitor

    groups: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    details: Details | None = None

    @classmethod
    def make(
        cls,
        predictions: Sequence[Any],
        gold: Sequence[list[str]],
        labels: Sequence[Any],
    ) -> QuestionAnsweringReport:
        """Returns the report.

        Args:
            predictions: Objects with `text`, which is "" for no answer.
            gold: The right answers of each question; an empty list for no answer.
            labels: Not used.
        """
        rows = np.array(
            [
                (exact(one.text, right), f1(one.text, right), bool(one.text))
                for one, right in zip(predictions, gold, strict=True)
            ],
            "float64",
        )
        has_answer = np.array([bool(right) for right in gold])
        chosen = {
            "all": np.ones(len(rows), bool),
            "answer": has_answer,
            "no answer": ~has_answer,
        }
        groups = {
            name: _scores(rows[mask]) for name, mask in chosen.items() if mask.any()
        }
        silent = has_answer.any() and not rows[:, 2].any()
        note = (
            f"no question is answered: {int(has_answer.sum()):,} of {len(rows):,} have "
            "an answer"
        )
        return cls(groups, (*few_rows_note(len(rows)), *(note,) * bool(silent)))

    @classmethod
    def evidence(
        cls,
        predictions: Sequence[Any],
        gold: Sequence[list[str]],
        labels: Sequence[Any],
    ) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""
        pairs = list(zip(predictions, gold, strict=True))
        scores = np.array(
            [(exact(one.text, right), f1(one.text, right), 1.0) for one, right in pairs]
        )
        return Evidence(
            scores,
            lambda sums: {
                "exact_match": ratio(sums[..., 0], sums[..., 2]),
                "f1": ratio(sums[..., 1], sums[..., 2]),
            },
            # A wrong answer with a higher confidence is worse.
            badness=np.array(
                [
                    (1 - score) * one.confidence
                    for one, score in zip(predictions, scores[:, 1], strict=True)
                ]
            ),
            right=[" / ".join(dict.fromkeys(right)) or "none" for right in gold],
            answers=[one.text or "none" for one in predictions],
            confidences=np.array([one.confidence for one in predictions]),
            hits=scores[:, 0],
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Exact match and F1 of all questions."""
        return {name: self.groups["all"][name] for name in ("exact_match", "f1")}

    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""
        return {"groups": self.groups}

    def tables(self) -> list[ReportTable]:
        """Returns the table of scores."""
        rows = tuple(
            (
                name,
                f"{one['exact_match']:.4f}",
                f"{one['f1']:.4f}",
                f"{one['answered']:.4f}",
                f"{one['questions']:,.0f}",
            )
            for name, one in self.groups.items()
        )
        header = ("questions with", "exact match", "F1", "answered", "number")
        return [ReportTable("Answers by SQuAD's rules", header, rows)]


def _scores(rows: np.ndarray) -> dict[str, float]:
    names = ("exact_match", "f1", "answered")
    means = {name: float(rows[:, i].mean()) for i, name in enumerate(names)}
    return {**means, "questions": float(len(rows))}
