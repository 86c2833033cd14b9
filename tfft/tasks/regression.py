"""Regression: a number for a text or a pair of texts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import DataError, shorten
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.heads import Linear
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.strata import bands
from tfft.tasks.task import TASKS, Labels, Task
from tfft.tasks.texts.example_signatures import regress
from tfft.tasks.texts.served import ServedTexts
from tfft.tasks.texts.text_task import TextTask, bad_texts
from tfft.text.tokenizer import Tokenizer


@TASKS.register("regression")
@configuration(aliases={"text_column": "text", "label_column": "label"})
class Regression(TextTask):
    """A number for a text or a pair of texts, such as their similarity.

    The network learns numbers with mean 0 and standard deviation 1. Answers are in the
    unit of the rows.

    Args:
        text: Column with the text, or two columns for pairs. Defaults to `text`.
        label: Column with the number. Defaults to `label`.
        center: Number to subtract from the labels. Defaults to the mean of the training
            rows.
        scale: Number to divide them by. Defaults to their standard deviation.
        max_length: Maximum number of tokens of a row, including special tokens.
            Longer rows are truncated and counted. Defaults to 256.
        tail_tokens: How many of these tokens a truncated text keeps from its end
            instead of its beginning. Only for one text column. Defaults to 0.
        dropout: Dropout on the text vector before the head. Defaults to 0.1.
        pooling: How to turn the tokens' states into the text vector: `pooler`,
            `mean`, `first`, `last`, `max`, `mean_sqrt_len`, `weightedmean`, or `auto`
            for the model's own pooling. Defaults to `auto`.

    >>> Regression(text="sentence1,sentence2", label="score").text
    ('sentence1', 'sentence2')
    """

    evaluation = "regression"

    label: str = "label"
    center: float | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        super().__post_init__()
        require(self.label not in self.text, self, "label", "another column than text")
        finite = self.center is None or math.isfinite(self.center)
        require(finite, self, "center", "a finite number")
        positive = self.scale is None or 0 < self.scale < math.inf
        require(positive, self, "scale", "a number above 0")

    def learned_from(self, table: Table, labels: Labels) -> tuple[Task, list[str]]:
        """Returns the task with mean and standard deviation of the training rows."""
        numbers = np.array(self._numbers(table))
        center = float(numbers.mean()) if self.center is None else self.center
        scale = float(numbers.std()) if self.scale is None else self.scale
        note = f"numbers have mean {center:.4g} and deviation {scale:.4g}"
        return replace(self, center=center, scale=scale), [note]

    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows with an empty text, or without a finite number.

        Raises:
            DataError: When a column is missing.
        """
        bad = bad_texts(table, self.text)
        if labelled:
            for row, value in enumerate(table.column(self.label, "task.label")):
                if _number(value) is None:
                    reason = f"{shorten(value)} is not a finite number"
                    bad.append(BadRow(row, self.label, reason))
        return sorted(bad)

    def _numbers(self, table: Table) -> list[float]:
        column = table.column(self.label, "task.label")
        return [number for value in column if (number := _number(value)) is not None]

    def learn_labels(self, table: Table) -> Labels:
        """Returns no labels, because numbers are learned.

        Raises:
            DataError: When all rows have the same number.
        """
        numbers = self._numbers(table)
        if len(set(numbers)) < 2:
            raise DataError(
                f"only one number: all {len(table):,} rows are {numbers[0]:g}",
                where=f'{table.source}, column "{self.label}"',
                expected="two numbers or more",
                fix="name another label column",
            )
        return ()

    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Accepts every number."""

    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns for each number which of up to ten equally large groups it is in."""
        return bands(self._numbers(table))

    def described(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the number of each row."""
        return [(f"{number:g}",) for number in self._numbers(table)]

    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows as ids, truncated at `max_length`."""
        values = {}
        if labels is not None:
            scaled = (self.gold(table, labels) - self._center) / self._scale
            values["labels"] = scaled.astype("float32")
        return self.encoded(table, tokenizer, values)

    @property
    def _center(self) -> float:
        return self.center or 0.0

    @property
    def _scale(self) -> float:
        return self.scale or 1.0

    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns a `TextClassifier` with one output."""
        return self.classifier(pretrained, 1, seed)

    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sums of the squared errors and of the weights.

        Args:
            outputs: Shape (batch, 1).
            batch: `labels` and `weights`, shape (batch,).
        """
        from keras import ops

        losses = ops.square(outputs[:, 0] - batch["labels"])
        return ops.sum(losses * batch["weights"]), ops.sum(batch["weights"])

    def about_head(self, labels: Labels) -> dict[str, Any]:
        """Returns that the head has one output, a number."""
        return {"problem_type": "regression", **super().about_head(("LABEL_0",))}

    def in_units(self, head: Linear) -> Linear:
        """Returns the head with `center` and `scale` folded into its weights."""
        weight, bias = (np.asarray(one, "float64") for one in head)
        return Linear(weight * self._scale, bias * self._scale + self._center)

    def gold(self, table: Table, labels: Labels) -> np.ndarray:
        """Returns the numbers, shape (rows,)."""
        return np.array(self._numbers(table), "float64")

    def decode(
        self, outputs: np.ndarray, encoded: Encoded, table: Table, labels: Labels
    ) -> np.ndarray:
        """Returns the predicted numbers, shape (rows,)."""
        return outputs[:, 0].astype("float64") * self._scale + self._center

    def answers(
        self, predictions: np.ndarray, table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns the `value` of each row."""
        return [{"value": float(value)} for value in predictions]

    def served(self, labels: Labels) -> ServedTexts:
        """Returns the graph half, with the signature `regress`."""
        return ServedTexts(
            len(self.text),
            lambda outputs: {"value": outputs[:, 0] * self._scale + self._center},
            lambda arrays: [{"value": float(value)} for value in arrays["value"]],
            regress,
        )


def _number(value: Any) -> float | None:
    """Returns a value, which may be text, as a finite number; None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
