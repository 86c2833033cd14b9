"""Multi-label classification: any number of labels for a text or a pair."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import DataError, nearest, one_of, shorten
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.joining import join_yes_or_no
from tfft.tasks.strata import rarest
from tfft.tasks.task import TASKS, Labels, Task
from tfft.tasks.texts.example_signatures import classify
from tfft.tasks.texts.served import ServedTexts
from tfft.tasks.texts.text_task import TextTask, bad_texts
from tfft.tasks.texts.thresholds import best_f1_threshold
from tfft.text.tokenizer import Tokenizer

_PLAIN_THRESHOLD = 0.5
# How `DataFrame.to_csv` writes a list of labels, and `str` an array of them.
_LIST = re.compile(r"""\[\s*(['"].*['"])?\s*\]""", re.DOTALL)


@dataclass(frozen=True)
class LabelSets:
    """The model's predictions for some texts.

    Attributes:
        probabilities: Probability of each label, shape (rows, labels).
        chosen: Whether each label is chosen, same shape.
    """

    probabilities: np.ndarray
    chosen: np.ndarray


@TASKS.register("multi_label")
@configuration(aliases={"text_column": "text", "label_column": "label"})
class MultiLabel(TextTask):
    """Any number of labels for a text or a pair of texts, each decided independently.

    Args:
        text: Column with the text, or two columns for pairs. Defaults to `text`.
        label: Column with the labels: lists of strings, or text split at `separator`.
            Defaults to `labels`.
        separator: Text between two labels. Defaults to `|`.
        thresholds: Probability from which each label counts, in the order of the
            labels. Defaults to the best F1 of each label on the validation rows, or
            to 0.5 without validation rows.
        max_length: Maximum number of tokens of a row, including special tokens.
            Longer rows are truncated and counted. Defaults to 256.
        tail_tokens: How many of these tokens a truncated text keeps from its end
            instead of its beginning. Only for one text column. Defaults to 0.
        dropout: Dropout on the text vector before the head. Defaults to 0.1.
        pooling: How to turn the tokens' states into the text vector: `pooler`,
            `mean`, `first`, `last`, `max`, `mean_sqrt_len`, `weightedmean`, or `auto`
            for the model's own pooling. Defaults to `auto`.

    >>> MultiLabel(separator=";").label
    'labels'
    """

    evaluation = "multi_label"
    tunes = True
    joiner = staticmethod(join_yes_or_no)
    averaged = ("thresholds",)

    label: str = "labels"
    separator: str = "|"
    thresholds: Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        super().__post_init__()
        require(self.label not in self.text, self, "label", "another column than text")
        require(bool(self.separator), self, "separator", "a character or more")
        fits = all(0 <= one <= 1 for one in self.thresholds or ())
        require(fits, self, "thresholds", "probabilities from 0 to 1")

    def learned_from(self, table: Table, labels: Labels) -> tuple[Task, list[str]]:
        """Returns the task, after checking its thresholds against the labels.

        Raises:
            DataError: When the number of thresholds is not that of the labels.
        """
        if self.thresholds is not None and len(self.thresholds) != len(labels):
            raise DataError(
                f"{len(self.thresholds)} thresholds for {len(labels)} labels",
                where="task.thresholds",
                expected=f"one for each of {', '.join(labels[:20])}",
                fix="leave thresholds out to tune them on the validation rows",
            )
        return self, []

    def tuned(
        self, predictions: LabelSets, gold: np.ndarray, labels: Labels
    ) -> tuple[Task, list[str]]:
        """Returns the task with the threshold of the best F1 for each label."""
        if self.thresholds is not None:
            return self, []
        found = [
            best_f1_threshold(predictions.probabilities[:, i], gold[:, i])
            for i in range(len(labels))
        ]
        pairs = zip(labels, found, strict=True)
        listed = ", ".join(f"{label} {one:.2f}" for label, one in pairs)
        return replace(self, thresholds=tuple(found)), [f"thresholds: {listed}"]

    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows with an empty text, or with invalid labels.

        Raises:
            DataError: When a column is missing.
        """
        bad = bad_texts(table, self.text)
        if labelled:
            for row, value in enumerate(table.column(self.label, "task.label")):
                if not isinstance(value, str | list | tuple):
                    reason = f"{type(value).__name__} instead of labels"
                    bad.append(BadRow(row, self.label, reason))
                elif isinstance(value, str) and _LIST.fullmatch(value.strip()):
                    reason = f"a list written as text, not joined by {self.separator!r}"
                    bad.append(BadRow(row, self.label, reason))
                elif not all(isinstance(one, str) and one for one in value):
                    bad.append(BadRow(row, self.label, "a label that is not text"))
        return sorted(bad)

    def described(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the labels of each row, without duplicates."""
        return [
            tuple(dict.fromkeys(self._split(value)))
            for value in table.column(self.label, "task.label")
        ]

    def _split(self, value: Any) -> list[str]:
        if isinstance(value, str):
            parts = (part.strip() for part in value.split(self.separator))
            return [part for part in parts if part]
        return list(value)

    def learn_labels(self, table: Table) -> Labels:
        """Returns the labels of the rows, sorted.

        Raises:
            DataError: When no row has a label.
        """
        labels = sorted({label for row in self.described(table) for label in row})
        if not labels:
            raise DataError(
                f"no labels in any of {len(table):,} rows",
                where=f'{table.source}, column "{self.label}"',
                expected="one label or more",
                fix="name the column of the labels with task.label",
            )
        return tuple(labels)

    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Raises an error for a label that no training row has.

        Raises:
            DataError: With the label, its row and the labels of training.
        """
        for row, given in enumerate(self.described(table)):
            for label in given:
                if label not in labels:
                    raise DataError(
                        f"label {shorten(label)} of the {split} rows is absent from "
                        "train",
                        where=f'{table.where(row)}, column "{self.label}"',
                        expected=one_of(labels[:20]),
                        fix=nearest(label, labels)
                        or "add training rows with it, or remove these",
                    )

    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns the rarest label of each row."""
        return rarest(self.described(table))

    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows as ids, truncated at `max_length`."""
        values = {} if labels is None else {"labels": self.gold(table, labels)}
        return self.encoded(table, tokenizer, values)

    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns a `TextClassifier` with an independent output for each label."""
        return self.classifier(pretrained, len(labels), seed)

    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sums of the mean of -log p over labels, and of the weights.

        Args:
            outputs: Logits, shape (batch, labels).
            batch: `labels`, 0 or 1, of that shape, and `weights`, shape (batch,).
        """
        from keras import ops

        losses = ops.mean(
            ops.softplus(outputs) - batch["labels"] * outputs, axis=-1
        )  # -log sigmoid, for 1 and for 0
        weights = batch["weights"]
        return ops.sum(losses * weights), ops.sum(weights)

    def about_head(self, labels: Labels) -> dict[str, Any]:
        """Returns the labels, that they are independent, and their thresholds.

        transformers stores `label_thresholds` but uses 0.5 for all labels.
        """
        thresholds = map(float, self._thresholds(labels))
        return {
            "problem_type": "multi_label_classification",
            **super().about_head(labels),
            "label_thresholds": dict(zip(map(str, labels), thresholds, strict=True)),
        }

    def gold(self, table: Table, labels: Labels) -> np.ndarray:
        """Returns 1 for each label of a row, otherwise 0; shape (rows, labels)."""
        ids = {label: index for index, label in enumerate(labels)}
        found = np.zeros((len(table), len(labels)), "float32")
        for row, given in enumerate(self.described(table)):
            found[row, [ids[label] for label in given]] = 1
        return found

    def decode(
        self, outputs: np.ndarray, encoded: Encoded, table: Table, labels: Labels
    ) -> LabelSets:
        """Returns the probabilities of the labels, and which are chosen."""
        probabilities = 1 / (1 + np.exp(-outputs))
        return LabelSets(probabilities, probabilities >= self._thresholds(labels))

    def _thresholds(self, labels: Labels) -> np.ndarray:
        given = self.thresholds or (_PLAIN_THRESHOLD,) * len(labels)
        return np.array(given, "float32")

    def answers(
        self, predictions: LabelSets, table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns the chosen labels, and the probability of every label."""
        return _answers(predictions.probabilities, predictions.chosen, labels)

    def served(self, labels: Labels) -> ServedTexts:
        """Returns the graph half, with the signature `classify`."""
        return ServedTexts(
            len(self.text),
            lambda outputs: _answered_in_graph(outputs, self._thresholds(labels)),
            lambda arrays: _answers(arrays["probabilities"], arrays["labels"], labels),
            lambda answering: classify(answering, labels),
        )


def _answers(probabilities: Any, given: Any, labels: Labels) -> list[dict[str, Any]]:
    return [
        {
            "labels": [one for one, y in zip(labels, chosen, strict=True) if y],
            "probabilities": dict(zip(labels, map(float, row), strict=True)),
        }
        for row, chosen in zip(probabilities, given, strict=True)
    ]


def _answered_in_graph(outputs: Any, thresholds: np.ndarray) -> dict[str, Any]:
    """Returns the probability of each label, and whether it is given."""
    import tensorflow as tf

    probabilities = tf.nn.sigmoid(outputs)
    return {"labels": probabilities >= thresholds, "probabilities": probabilities}
