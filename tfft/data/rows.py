"""Unusable rows: refused with their line numbers, or counted and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tfft.core.errors import DataError
from tfft.data.table import Table

OnBadRows = Literal["error", "skip"]

_SHOWN = 5


class BadRow(NamedTuple):
    """A row that a task cannot use.

    Attributes:
        row: Its index in the table.
        column: The column with the problem.
        reason: The problem, such as "empty text".
    """

    row: int
    column: str
    reason: str


def without_bad_rows(
    table: Table, bad: Sequence[BadRow], on_bad_rows: OnBadRows
) -> tuple[Table, list[str]]:
    """Returns the usable rows and notes on the rows that were left out.

    Args:
        table: The rows.
        bad: The unusable rows.
        on_bad_rows: "error" to refuse them, "skip" to leave them out.

    Returns:
        The remaining table, and one sentence if rows were left out.

    Raises:
        DataError: When bad rows are refused, or when no row is left.
    """
    if not bad:
        return table, []
    reasons = Counter(f'{one.reason} in column "{one.column}"' for one in bad)
    shown = [f"{reason} ({count})" for reason, count in reasons.items()][:_SHOWN]
    counted = ", ".join(shown)
    if len(reasons) > _SHOWN:
        counted += f" and {len(reasons) - _SHOWN} other reasons"
    rows = sorted({one.row for one in bad})
    places = ", ".join(table.where(row) for row in rows[:_SHOWN])
    places += f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    share = f"{len(rows):,} of {len(table):,} rows"
    if on_bad_rows == "error" or len(rows) == len(table):
        raise DataError(
            f"{share} cannot be used: {counted}",
            where=places,
            expected="text and label in every row",
            fix="correct them"
            if len(rows) == len(table)
            else 'correct them, or leave them out with on_bad_rows="skip"',
        )
    faulty = set(rows)
    kept = table.select([row for row in range(len(table)) if row not in faulty])
    return kept, [f"left out {share}: {counted} · {places}"]
