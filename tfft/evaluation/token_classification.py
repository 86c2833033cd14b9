"""The report of token classification: entities by type, and words by tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, f1, ratio
from tfft.evaluation.metrics import falling, rising
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.tables import ReportTable
from tfft.tasks.tokens.tag_schemes import OUTSIDE, spans_of

_SCORES = ("precision", "recall", "f1", "support")


@REPORTS.register("token_classification")
@dataclass(frozen=True)
class TokenClassificationReport(Report):
    """Scores of whole entities by seqeval, and of single words by scikit-learn.

    An entity counts as found only when its type and both ends are right. Scores of
    words are higher, because most words are O: do not compare the two.

    Attributes:
        summary: Micro precision, recall and F1, macro F1 of entities, accuracy and
            weighted F1 of words, mean loss of words, number of words.
        entities: Scores of the entities of each type, and their averages.
        words: Scores of the words of each tag, O included, and their averages.
        notes: One sentence for each thing that the scores hide.
        details: Intervals, slices, calibration and errors.
    """

    described = (
        rising(
            "precision",
            "share of the predicted entities that are right",
            "seqeval: classification_report",
        ),
        rising(
            "recall",
            "share of the right entities that are found",
            "seqeval: classification_report",
        ),
        rising(
            "f1",
            "harmonic mean of precision and recall",
            "seqeval: classification_report",
        ),
        rising(
            "macro_f1",
            "mean of the F1 of the entity types",
            "seqeval: classification_report",
        ),
        rising(
            "word_accuracy",
            "share of words with the right tag",
            "scikit-learn: accuracy_score",
        ),
        rising(
            "word_weighted_f1",
            "mean of the F1 of the tags, weighted by their words",
            "scikit-learn: classification_report",
        ),
        falling("loss", "mean over words of −log p of the right tag"),
    )
    monitor = described[2].monitor

    summary: dict[str, float]
    entities: dict[str, dict[str, float]]
    words: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    details: Details | None = None

    @classmethod
    def make(
        cls,
        predictions: Sequence[Any],
        gold: Sequence[list[str]],
        labels: Sequence[str],
    ) -> TokenClassificationReport:
        """Returns the report.

        Args:
            predictions: Objects with the `tags` and `probabilities` of a row.
            gold: The right IOB2 tags of each row.
            labels: All tags in the order of their ids.
        """
        from sklearn.metrics import accuracy_score
        from sklearn.metrics import classification_report as by_word

        found = [one.tags for one in predictions]
        right = [tag for row in gold for tag in row]
        predicted = [tag for row in found for tag in row]
        entities = _by_entity(gold, found)
        words = by_word(
            right, predicted, labels=list(labels), output_dict=True, zero_division=0.0
        )
        total, averages = entities["micro avg"], words["weighted avg"]
        summary = {
            "precision": float(total["precision"]),
            "recall": float(total["recall"]),
            "f1": float(total["f1-score"]),
            "macro_f1": float(entities["macro avg"]["f1-score"]),
            "word_accuracy": float(accuracy_score(right, predicted)),
            "word_weighted_f1": float(averages["f1-score"]),
            "loss": _loss(predictions, gold, labels),
            "words": float(len(right)),
        }
        return cls(summary, _plain(entities), _plain(words), _notes(predicted, gold))

    @classmethod
    def evidence(
        cls,
        predictions: Sequence[Any],
        gold: Sequence[list[str]],
        labels: Sequence[str],
    ) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""
        kinds = sorted({label[2:] for label in labels if label != "O"})
        rows = [
            _compared(one, right, kinds, np.array([label[2:] for label in labels]))
            for one, right in zip(predictions, gold, strict=True)
        ]
        return Evidence(
            np.array([row.statistics for row in rows]),
            _scores_of,
            badness=np.array([float(row.wrong) for row in rows]),
            right=[row.right for row in rows],
            answers=[row.predicted for row in rows],
            confidences=np.array([p for row in rows for p in row.confidences]),
            hits=np.array([hit for row in rows for hit in row.hits]),
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Scores of entities and of words, and the loss."""
        return {name: value for name, value in self.summary.items() if name != "words"}

    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""
        return {"summary": self.summary, "entities": self.entities, "words": self.words}

    def tables(self) -> list[ReportTable]:
        """Returns the table of entities and the table of words."""
        return [
            _table("Entities: type and both ends are right (seqeval)", self.entities),
            _table("Words: each tag by itself, O included", self.words),
        ]


def _by_entity(gold: Sequence[Any], found: Sequence[Any]) -> dict[str, Any]:
    """Returns seqeval's report; without any entity all scores are 0, not NaN."""
    from seqeval.metrics import classification_report

    if any(tag != OUTSIDE for row in (*gold, *found) for tag in row):
        return classification_report(gold, found, output_dict=True, zero_division=0)
    none = dict.fromkeys(("precision", "recall", "f1-score", "support"), 0.0)
    return {name: none for name in ("micro avg", "macro avg", "weighted avg")}


def _notes(predicted: Sequence[str], gold: Sequence[list[str]]) -> tuple[str, ...]:
    """Returns a note when no entity is found; most scores of words hide that."""
    missed = sum(len(spans_of(row)) for row in gold)
    if not missed or any(tag != OUTSIDE for tag in predicted):
        return ()
    return (
        f"every word is tagged O: none of {missed:,} entities is found; train longer "
        "or with a higher learning rate, or give O a lower weight in class_weights",
    )


def _loss(predictions: Sequence[Any], gold: Sequence[list[str]], labels: Any) -> float:
    ids = {label: index for index, label in enumerate(labels)}
    smallest = np.finfo("float32").tiny
    logs = [
        np.log(np.maximum(one.probabilities[np.arange(len(row)), at], smallest))
        for one, row in zip(predictions, gold, strict=True)
        for at in [[ids[tag] for tag in row]]
    ]
    return float(-np.concatenate(logs).mean())


def _plain(scores: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Returns the scores of the rows of a table by name, without single numbers.

    scikit-learn returns an accuracy instead of a micro average when it has all labels.
    """
    return {
        name: {key: float(one[key.replace("f1", "f1-score")]) for key in _SCORES}
        for name, one in scores.items()
        if isinstance(one, dict)
    }


def _table(title: str, scores: dict[str, dict[str, float]]) -> ReportTable:
    rows = tuple(
        (name, *(f"{one[key]:.4f}" for key in _SCORES[:3]), f"{one['support']:,.0f}")
        for name, one in scores.items()
    )
    return ReportTable(title, ("", "precision", "recall", "F1", "number"), rows)


class _Compared(NamedTuple):
    """The predicted entities of a row, compared with the right ones."""

    statistics: np.ndarray
    wrong: int
    right: str
    predicted: str
    confidences: list[float]
    hits: list[bool]


def _compared(
    prediction: Any, gold: list[str], kinds: list[str], kind_of_label: np.ndarray
) -> _Compared:
    right, predicted = spans_of(gold), spans_of(prediction.tags)
    common = set(right) & set(predicted)
    counts = [
        [sum(span.type == kind for span in some) for kind in kinds]
        for some in (common, predicted, right)
    ]
    confidences = [
        float(prediction.probabilities[a:b, kind_of_label == kind].sum(-1).mean())
        for a, b, kind in predicted
    ]
    return _Compared(
        np.array(counts, "float64").ravel(),
        len(right) + len(predicted) - 2 * len(common),
        _in_words(right),
        _in_words(predicted),
        confidences,
        [span in common for span in predicted],
    )


def _in_words(spans: Sequence[Any]) -> str:
    return ", ".join(f"{kind} {a + 1}-{b}" for a, b, kind in spans) or "none"


def _scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the scores of entities from counts by type: found, predicted, right."""
    found, predicted, right = np.split(sums, 3, axis=-1)
    by_type = f1(found, predicted, right)
    present = (predicted + right > 0).sum(axis=-1).astype("float64")
    totals = found.sum(axis=-1), predicted.sum(axis=-1), right.sum(axis=-1)
    return {
        "precision": ratio(totals[0], totals[1]),
        "recall": ratio(totals[0], totals[2]),
        "f1": f1(*totals),
        "macro_f1": ratio(by_type.sum(axis=-1), present),
    }
