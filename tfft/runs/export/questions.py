"""The questions that an export must answer before it is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfft.core.errors import TfftError
from tfft.data import sources
from tfft.data.table import Table
from tfft.runs.predictor import Predictor, Provenance
from tfft.tasks.endpoint import Tryout
from tfft.tasks.task import Task

_MOST_TEXTS = 10_000
MOST_ROWS = 24
# A share of rows takes some hundreds of them to mean anything.
MOST_COMPARED = 256
# Texts on which tokenizers often go wrong.
HARD = (
    "A plain sentence, with a comma.",
    "",
    " \t\n",
    "Crème brûlée ÀÉÎÕÜ ẞ İ ﬁ e\u0301",
    "中文字符 mixed with words, ไทย and हिन्दी",
    "🙂👩\u200d👩\u200d👧 \u202ehidden\u202c \x00\x07control\u00ad",
    "[CLS] [SEP] [MASK] is text " + "x" * 150,
    "don't we'll I'M 1,000.50 €  two  spaces \n    indented\n",
    "long " * 2000,
)


@dataclass(frozen=True)
class Questions:
    """The questions that an export must answer before it is published.

    Attributes:
        texts: Texts whose tokens are compared.
        tryout: Rows whose answers are compared, with the right answers.
        data: Says where the texts come from that are not built in.
    """

    texts: list[str]
    tryout: Tryout
    data: str


def make_questions(
    predictor: Predictor,
    source: Provenance,
    columns: Sequence[str],
    data: Any = None,
    most: int = MOST_ROWS,
) -> Questions:
    """Returns the hard texts, and the training texts if they can be read.

    Args:
        predictor: Gives the right answers; its adapter is not merged.
        source: Says where the training data is.
        columns: The inputs of `serving_default`.
        data: Anything that holds rows. Defaults to the training data.
        most: Number of its rows to compare answers on, from the first.

    Raises:
        DataError: When `data` lacks the task's columns.
    """
    task = predictor.task
    rows, texts, said = question_rows(task, source, len(columns), data, most)
    tryout = task.served(predictor.labels).tryout(predictor, rows)
    return Questions([*HARD, *texts], tryout, said)


def question_rows(
    task: Task,
    source: Provenance,
    columns: int,
    data: Any = None,
    most: int = MOST_ROWS,
) -> tuple[list[tuple[str, ...]], list[str], str]:
    """Returns rows to ask, all texts of the data, and what those texts are.

    The rows are the hard ones and the first of the data.

    Args:
        task: Knows the columns of the data.
        source: Says where the training data is.
        columns: Texts in a row.
        data: Anything that holds rows. Defaults to the training data.
        most: Maximum number of rows of the data to use.

    Raises:
        DataError: When `data` lacks the task's columns.
    """
    rows = hard_rows(columns)
    table, said = _training_rows(task, source, data)
    if table is None:
        return rows, [], said
    found = list(dict.fromkeys(task.texts(table)))
    every = list(dict.fromkeys(text for row in found for text in row))
    texts = every[:_MOST_TEXTS]
    few = [row for row in found if len(row) == columns][:most]
    return [*rows, *few], texts, f"{len(texts):,} of {len(every):,} texts of {said}"


def hard_rows(columns: int) -> list[tuple[str, ...]]:
    """Returns rows with each hard text in each column, a plain text in the others."""
    return [
        tuple(text if place == column else HARD[0] for place in range(columns))
        for column in range(columns)
        for text in HARD
    ]


def _training_rows(
    task: Task, source: Provenance, data: Any
) -> tuple[Table | None, str]:
    """Returns the training rows, None if they cannot be read, and what they are."""
    if data is not None:
        return sources.read(data)["train"], "the given data"
    try:
        table = sources.read(source.record["config"]["data"])["train"]
        task.texts(table)
    except TfftError:
        return None, "no texts of the training data, which cannot be read"
    return table, "the training data"
