"""Corrects answers that are not at the position their rows give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfft.core.errors import DataError
from tfft.data.table import Table
from tfft.tasks.answers.gold_answers import GoldAnswer, mend, read_answers

_SHOWN = 5


def with_mended_answers(
    table: Table, context: str, answers: str
) -> tuple[Table, list[str]]:
    """Returns rows with all answers at their positions, and notes on the changes.

    If an answer occurs exactly once near its position, the position is corrected;
    otherwise the answer is dropped, and so is a row without any answer left.

    Args:
        table: Rows in a usable form.
        context: Column with contexts.
        answers: Column with answers.

    Raises:
        DataError: When no row is left.
    """
    moved, lost, kept = 0, [], []
    column = []
    for row, (value, text) in enumerate(
        zip(table.column(answers), table.column(context), strict=True)
    ):
        given = read_answers(value)
        mended = [mend(one, text) for one in given]
        found = [one for one in mended if one is not None]
        moved += len(set(found) - set(given))
        if len(found) < len(given):
            lost.append(row)
        if found or not given:
            kept.append(row)
        column.append(_plain(found))
    if not moved and not lost:
        return table, []
    if not kept:
        raise DataError(
            "no answer occurs in its context",
            where=table.source,
            expected="contexts with the text of an answer at answer_start",
            fix="count answer_start in characters of the context, from 0",
        )
    notes = _notes(table, moved, lost, len(table) - len(kept))
    return replace(table, columns={**table.columns, answers: column}).select(
        kept
    ), notes


def _plain(answers: Sequence[GoldAnswer]) -> list[dict[str, str | int]]:
    return [{"text": one.text, "answer_start": one.start} for one in answers]


def _notes(table: Table, moved: int, lost: Sequence[int], dropped: int) -> list[str]:
    """Returns one sentence for each kind of fault."""
    notes = []
    if moved:
        notes.append(f"{moved:,} answers were not at answer_start: position corrected")
    if lost:
        places = ", ".join(table.where(row) for row in lost[:_SHOWN])
        places += f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        notes.append(
            f"{len(lost):,} rows had answers that are not in their context: answers "
            f"dropped, and {dropped:,} rows that had no other · {places}"
        )
    return notes
