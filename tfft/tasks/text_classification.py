"""Text classification: one label for a text or a pair of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import DataError, nearest, one_of, shorten
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.joining import join_choices
from tfft.tasks.losses import as_vector, check_options, cross_entropy, weights_by_label
from tfft.tasks.task import TASKS, Labels, Task
from tfft.tasks.texts.class_labels import (
    as_label,
    fraction_in,
    has_fraction,
    ids_by_spelling,
    label_problem,
)
from tfft.tasks.texts.example_signatures import classify
from tfft.tasks.texts.served import ServedTexts
from tfft.tasks.texts.text_task import TextTask, bad_texts
from tfft.text.tokenizer import Tokenizer

# Numbers that each occur in fewer rows than this are not classes.
_ROWS_OF_A_CLASS = 5


@TASKS.register("text_classification")
@configuration(aliases={"text_column": "text", "label_column": "label"})
class TextClassification(TextTask):
    """One label for a text or a pair of texts.

    Args:
        text: Column with the text, or two columns for pairs. Defaults to `text`.
        label: Column with the label: a string, an integer or a boolean. Defaults to
            `label`.
        max_length: Maximum number of tokens of a row, including special tokens.
            Longer rows are truncated and counted. Defaults to 256.
        tail_tokens: How many of these tokens a truncated text keeps from its end
            instead of its beginning. Only for one text column. Defaults to 0.
        dropout: Dropout on the text vector before the head. Defaults to 0.1.
        pooling: How to turn the tokens' states into the text vector: `pooler`,
            `mean`, `first`, `last`, `max`, `mean_sqrt_len`, `weightedmean`, or `auto`
            for the model's own pooling. Defaults to `auto`.
        class_weights: Weights of the labels in the loss: `balanced`, or a weight for
            each label, such as `spam=3`. Defaults to none.
        label_smoothing: Share of a label's weight that is spread evenly over all
            labels. Defaults to 0.
        focal_gamma: Exponent of the focal loss; higher values make easy rows count
            less. Defaults to 0.

    >>> TextClassification(text="premise,hypothesis").text
    ('premise', 'hypothesis')
    """

    evaluation = "text_classification"
    joiner = staticmethod(join_choices)

    label: str = "label"
    class_weights: Any = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        super().__post_init__()
        require(self.label not in self.text, self, "label", "another column than text")
        check_options(self)

    def learned_from(self, table: Table, labels: Labels) -> tuple[Task, list[str]]:
        """Returns the task with the weights of the labels."""
        counts = Counter(self.strata(table))
        weights = weights_by_label(self.class_weights, labels, counts)
        fraction = fraction_in(counts)
        note = (
            f"labels are numbers such as {shorten(fraction)}, and each is a class; "
            'task="regression" learns them as numbers'
        )
        return replace(self, class_weights=weights), [note] * bool(fraction)

    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows where a text or label is empty or has the wrong type.

        Raises:
            DataError: When a column is missing, or most labels are numbers with a
                fraction.
        """
        bad = bad_texts(table, self.text)
        if labelled:
            values = table.column(self.label, "task.label")
            numbers = [one for one in values if has_fraction(one)]
            if 2 * len(numbers) > len(values):
                raise self._numbers(table, numbers[0], len(numbers))
            for row, value in enumerate(values):
                reason = label_problem(value)
                if reason:
                    bad.append(BadRow(row, self.label, reason))
        return sorted(bad)

    def _numbers(self, table: Table, number: Any, count: int) -> DataError:
        return DataError(
            f"the labels are numbers such as {shorten(number)} "
            f"({count:,} of {len(table):,} rows have a fraction)",
            where=f'{table.source}, column "{self.label}"',
            expected="classes: text, whole numbers, or true and false",
            fix='learn them with task="regression", or write the classes as words',
        )

    def learn_labels(self, table: Table) -> Labels:
        """Returns the labels of the rows, sorted.

        Raises:
            DataError: When there is only one class, when types are mixed, or when the
                labels are numbers with a fraction that rarely occur twice.
        """
        labels = self.strata(table)
        # Not from the counts, where True and 1 are the same key.
        kinds = sorted({type(label).__name__ for label in labels})
        if len(kinds) > 1:
            raise DataError(
                f'labels of types {" and ".join(kinds)} in column "{self.label}"',
                where=table.source,
                expected="all text, all whole numbers, or all true or false",
                fix="write them in one way",
            )
        counts = Counter(labels)
        fraction = fraction_in(counts)
        if fraction and len(labels) < _ROWS_OF_A_CLASS * len(counts):
            number = sum(has_fraction(float(label)) for label in labels)
            raise self._numbers(table, fraction, number)
        if len(counts) < 2:
            only = next(iter(counts))
            raise DataError(
                f"only one class: all {len(table):,} rows are {shorten(only)}",
                where=f'{table.source}, column "{self.label}"',
                expected="two labels or more",
                fix="add rows of another class, or name another label column",
            )
        return tuple(sorted(counts))

    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Raises an error for a label that no training row has.

        Raises:
            DataError: With the label, the row and the labels of training.
        """
        known = ids_by_spelling(labels)
        for row, label in enumerate(self.strata(table)):
            if str(label) not in known:
                raise DataError(
                    f"class {shorten(label)} of the {split} rows is absent from train",
                    where=f'{table.where(row)}, column "{self.label}"',
                    expected=one_of(str(label) for label in labels[:20]),
                    fix=nearest(label, known)
                    or "add training rows of that class, or remove these",
                )

    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns the labels, with whole numbers as int whatever their type."""
        return [as_label(value) for value in table.column(self.label, "task.label")]

    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows as ids, truncated at `max_length`."""
        values = {} if labels is None else {"labels": self.gold(table, labels)}
        return self.encoded(table, tokenizer, values)

    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns a `TextClassifier` on the backbone."""
        return self.classifier(pretrained, len(labels), seed)

    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sums of -log p(label) and of the weights.

        Args:
            outputs: Logits, shape (batch, classes).
            batch: `labels` and `weights`, shape (batch,).
        """
        from keras import ops

        losses, weights = cross_entropy(
            batch["labels"],
            outputs,
            class_weights=as_vector(self.class_weights),
            label_smoothing=self.label_smoothing,
            focal_gamma=self.focal_gamma,
        )
        rows = batch["weights"]
        return ops.sum(losses * rows), ops.sum(weights * rows)

    def about_head(self, labels: Labels) -> dict[str, Any]:
        """Returns the labels, and that each text has one of them."""
        return {
            "problem_type": "single_label_classification",
            **super().about_head(labels),
        }

    def gold(self, table: Table, labels: Labels) -> np.ndarray:
        """Returns the ids of the labels, shape (rows,)."""
        ids = ids_by_spelling(labels)
        return np.array([ids[str(label)] for label in self.strata(table)], "int32")

    def decode(
        self, outputs: np.ndarray, encoded: Encoded, table: Table, labels: Labels
    ) -> np.ndarray:
        """Returns the softmax of the logits, shape (rows, classes)."""
        shifted = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)

    def answers(
        self, predictions: np.ndarray, table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns the most likely label, its score, and every label's probability."""
        ids = predictions.argmax(axis=-1)
        return _answers(ids, predictions.max(axis=-1), predictions, labels)

    def served(self, labels: Labels) -> ServedTexts:
        """Returns the graph half, with the signature `classify`."""
        return ServedTexts(
            len(self.text),
            lambda outputs: _answered_in_graph(outputs, labels),
            lambda arrays: _answers(
                arrays["label_id"], arrays["score"], arrays["probabilities"], labels
            ),
            lambda answering: classify(answering, labels),
        )


def _answers(
    ids: Any, scores: Any, probabilities: Any, labels: Labels
) -> list[dict[str, Any]]:
    return [
        {
            "label": labels[int(index)],
            "score": float(score),
            "probabilities": {
                str(label): float(p) for label, p in zip(labels, row, strict=True)
            },
        }
        for index, score, row in zip(ids, scores, probabilities, strict=True)
    ]


def _answered_in_graph(outputs: Any, labels: Labels) -> dict[str, Any]:
    """Returns each row's label with its id and score, and all probabilities."""
    import tensorflow as tf

    probabilities = tf.nn.softmax(outputs)
    label_id = tf.argmax(probabilities, axis=-1)
    return {
        "label": tf.gather(tf.constant([str(one) for one in labels]), label_id),
        "label_id": label_id,
        "score": tf.reduce_max(probabilities, axis=-1),
        "probabilities": probabilities,
    }
