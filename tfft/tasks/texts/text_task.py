"""The base class of tasks with one answer per text or pair of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import DataError, shorten
from tfft.core.model_config import Pooling
from tfft.data.batching import Examples
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.task import Task
from tfft.text.tokenizer import Tokenizer


@configuration()
class TextTask(Task):
    """A task with one answer per text or pair of texts; abstract.

    Args:
        text: Column with the text, or two columns for pairs. Defaults to `text`.
        max_length: Maximum number of tokens of a row, including special tokens.
            Longer rows are truncated and counted. Defaults to 256.
        tail_tokens: How many of these tokens a truncated text keeps from its end
            instead of its beginning (Sun et al., 2019, arXiv:1905.05583, section
            5.3.1). Only for one text column. Defaults to 0.
        dropout: Dropout on the text vector before the head. Defaults to 0.1.
        pooling: How to turn the tokens' states into the text vector: `pooler`,
            `mean`, `first`, `last`, `max`, `mean_sqrt_len`, `weightedmean`, or `auto`
            for the model's own pooling. Defaults to `auto`.
    """

    text: Sequence[str] = ("text",)
    max_length: int = 256
    tail_tokens: int = 0
    dropout: float = 0.1
    pooling: Literal["auto", Pooling] = "auto"

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        columns = len(self.text)
        require(columns in (1, 2), self, "text", "one or two columns")
        require(self.max_length >= 8, self, "max_length", "8 or more tokens")
        most = self.max_length // 2 if columns == 1 else 0
        fits = 0 <= self.tail_tokens <= most
        limit = f"0 to {most}, half of max_length" if most else "0 with two columns"
        require(fits, self, "tail_tokens", limit)
        require(0 <= self.dropout < 1, self, "dropout", "from 0 up to but not 1")

    @property
    def peft_task_type(self) -> str:
        """SEQ_CLS for a head on the pooler; for other poolings PEFT has no head."""
        return "SEQ_CLS" if self.pooling == "pooler" else "FEATURE_EXTRACTION"

    @property
    def head_type(self) -> str:
        """SEQ_CLS."""
        return "SEQ_CLS"

    def suited_to(self, pretrained: Pretrained) -> tuple[Task, list[str]]:
        """Returns the task with the model's pooling and at most the model's length."""
        task, notes = self, []
        limit = pretrained.max_length
        if limit is not None and task.max_length > limit:
            task = replace(task, max_length=limit)
            notes.append(f"max_length is the model's limit, {limit}")
        if task.pooling == "auto":
            task = replace(task, pooling=pretrained.pooling)
            notes.append(f"pooling is the model's own, {pretrained.pooling}")
            notes.extend(pretrained.summary.notes)
        return task, notes

    def encoded(
        self, table: Table, tokenizer: Tokenizer, values: Mapping[str, np.ndarray]
    ) -> Encoded:
        """Returns one example per row, truncated at `max_length`.

        Args:
            table: The rows.
            tokenizer: The model's tokenizer.
            values: Further values for the batch, such as `labels`.
        """
        columns = [table.column(name, "task.text") for name in self.text]
        pairs = columns[1] if len(columns) == 2 else None
        encodings = tokenizer.encode(
            columns[0], pairs, self.max_length, self.tail_tokens
        )
        # Without special tokens, as in GPT-2, an empty text has no state to pool. It
        # becomes the padding token, here and in a SavedModel.
        examples = Examples(
            sequences={
                "token_ids": [one.token_ids or [tokenizer.pad_id] for one in encodings],
                "segment_ids": [one.segment_ids or [0] for one in encodings],
            },
            values=values,
            padding={"token_ids": tokenizer.pad_id, "segment_ids": 0},
        )
        return Encoded(examples, sum(one.truncated for one in encodings))

    def classifier(self, pretrained: Pretrained, outputs: int, seed: int) -> Any:
        """Returns a `TextClassifier` with the given number of outputs."""
        from tfft.tasks.networks.text_classifier import TextClassifier

        return TextClassifier(
            pretrained.backbone,
            num_classes=outputs,
            dropout=self.dropout,
            pooling=self.pooling,
            seed=seed,
        )

    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table from texts, pairs of texts, or rows with the text columns.

        Raises:
            DataError: For any other input.
        """
        return rows_of_texts(inputs, self.text)


def bad_texts(table: Table, names: Sequence[str]) -> list[BadRow]:
    """Returns the rows where a text is empty or not a string.

    Raises:
        DataError: When a column is missing.
    """
    bad = []
    for name in names:
        for row, value in enumerate(table.column(name, "task.text")):
            reason = _problem(value)
            if reason:
                bad.append(BadRow(row, name, reason))
    return bad


def _problem(value: Any) -> str:
    if value is None:
        return "empty text"
    if not isinstance(value, str):
        return f"{type(value).__name__} instead of text"
    return "" if value.strip() else "empty text"


def rows_of_texts(inputs: Sequence[Any], names: Sequence[str]) -> Table:
    """Returns a table from texts, pairs of texts, or rows with the text columns.

    Raises:
        DataError: For any other input.
    """
    if isinstance(inputs, str):
        raise DataError(
            f"inputs are a single text: {shorten(inputs)}",
            expected="a list of texts",
            fix="put it into a list",
        )
    return Table.from_rows(
        (_row(value, index, names) for index, value in enumerate(inputs)), "inputs"
    )


def _row(value: Any, index: int, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        if all(name in value for name in names):
            return {name: value[name] for name in names}
    elif isinstance(value, str) and len(names) == 1:
        return {names[0]: value}
    elif isinstance(value, list | tuple) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    raise DataError(
        f"input {index + 1} is {shorten(value)}",
        expected="a text" if len(names) == 1 else "a pair of texts",
        fix=f"give the column{'s' * (len(names) - 1)} {', '.join(names)}",
    )
