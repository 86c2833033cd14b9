"""What tasks on whole texts, or pairs of them, have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfft.core.errors import DataError, shorten
from tfft.data.batching import Examples
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.models.tokenizer import Tokenizer
from tfft.tasks.served.endpoint import Endpoints, InGraph, on_texts
from tfft.tasks.task import Encoded, Labels, Task


class TextTask(Task):
    """A task that answers once for a text, or for a pair of texts; abstract."""

    def endpoints(self, network: Any, tokenizer: InGraph, labels: Labels) -> Endpoints:
        """Returns endpoints with what `served` returns, and with the summary."""
        return on_texts(
            network,
            tokenizer,
            len(self.text),
            lambda outputs: self.served(outputs, labels),
        )

    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table from texts, pairs of texts, or rows with the text columns.

        Raises:
            DataError: For anything else.
        """
        return rows_of_texts(inputs, self.text)


def suited(task: Any, pretrained: Pretrained) -> tuple[Any, list[str]]:
    """Returns a task with the model's pooling, within the model's length."""
    notes: list[str] = []
    limit = pretrained.max_length
    if limit is not None and task.max_length > limit:
        task = replace(task, max_length=limit)
        notes.append(f"max_length is the model's limit, {limit}")
    if task.pooling == "auto":
        task = replace(task, pooling=pretrained.pooling)
        notes.append(f"pooling is the model's own, {pretrained.pooling}")
    return task, notes


def bad_texts(table: Table, names: Sequence[str]) -> list[BadRow]:
    """Returns the rows with an empty text or one of another type.

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


def encode_texts(
    columns: Sequence[Sequence[str]],
    tokenizer: Tokenizer,
    max_length: int,
    values: Mapping[str, np.ndarray],
) -> Encoded:
    """Returns one example a row; `max_length` may cost it tokens.

    Args:
        columns: One or two columns of texts.
        tokenizer: The model's.
        max_length: The most tokens of a row.
        values: What else goes into the batch, such as `labels`.
    """
    pairs = columns[1] if len(columns) == 2 else None
    encodings = tokenizer.encode(columns[0], pairs, max_length)
    examples = Examples(
        sequences={
            "token_ids": [one.token_ids for one in encodings],
            "segment_ids": [one.segment_ids for one in encodings],
        },
        values=values,
        padding={"token_ids": tokenizer.pad_id, "segment_ids": 0},
    )
    return Encoded(examples, sum(one.truncated for one in encodings))


def rows_of_texts(inputs: Sequence[Any], names: Sequence[str]) -> Table:
    """Returns a table from texts, pairs of texts, or rows with the text columns.

    Raises:
        DataError: For anything else.
    """
    if isinstance(inputs, str):
        raise DataError(
            f"predict got one text {shorten(inputs)}",
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
