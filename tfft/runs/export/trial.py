"""What an export is asked before it is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfft.core.errors import TfftError
from tfft.data import sources
from tfft.data.table import Table
from tfft.tasks.served.endpoint import Tryout

if TYPE_CHECKING:
    from tfft.runs.run import Run

_MOST_TEXTS = 10_000
MOST_ROWS = 24
# A share of rows means something from some hundreds on.
MOST_COMPARED = 256
# Looked at before publishing: what tokenizers stumble over.
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
class Trial:
    """What an export is asked before it is published.

    Attributes:
        texts: For their tokens.
        tryout: For their answers.
        data: What the texts are beside the hard ones, in words.
    """

    texts: list[str]
    tryout: Tryout
    data: str


def make_trial(
    run: Run, columns: Sequence[str], data: Any = None, most: int = MOST_ROWS
) -> Trial:
    """Returns the hard texts, and those of the training where they are at hand.

    Args:
        run: The run, not merged.
        columns: The inputs of `serving_default`.
        data: Anything that holds rows. Defaults to the data of the training.
        most: How many of its rows are asked for their answers, the first.

    Raises:
        DataError: When data that was given has not the task's columns.
    """
    rows, texts, said = trial_rows(run, len(columns), data, most)
    return Trial([*HARD, *texts], run.task.tryout(run, rows), said)


def trial_rows(
    run: Run, columns: int, data: Any = None, most: int = MOST_ROWS
) -> tuple[list[tuple[str, ...]], list[str], str]:
    """Returns hard rows and some of the training, all its texts, and what those are.

    Args:
        run: The run.
        columns: Texts in a row.
        data: Anything that holds rows. Defaults to the data of the training.
        most: How many of its rows there are, the first.

    Raises:
        DataError: When data that was given has not the task's columns.
    """
    rows = hard_rows(columns)
    table, said = _training_rows(run, data)
    if table is None:
        return rows, [], said
    found = list(dict.fromkeys(run.task.texts(table)))
    every = list(dict.fromkeys(text for row in found for text in row))
    texts = every[:_MOST_TEXTS]
    few = [row for row in found if len(row) == columns][:most]
    return [*rows, *few], texts, f"{len(texts):,} of {len(every):,} texts of {said}"


def hard_rows(columns: int) -> list[tuple[str, ...]]:
    """Returns each hard text in each of some columns, a plain one in the others."""
    return [
        tuple(text if place == column else HARD[0] for place in range(columns))
        for column in range(columns)
        for text in HARD
    ]


def _training_rows(run: Run, data: Any) -> tuple[Table | None, str]:
    """Returns the training rows and what they are; None when they are not there."""
    if data is not None:
        return sources.read(data)["train"], "the given data"
    try:
        table = sources.read(run.record["config"]["data"])["train"]
        run.task.texts(table)
    except TfftError:
        return None, "no texts of the training data, which is not at hand"
    return table, "the training data"
