"""Rows that cannot be used: refused with their lines, or counted and left out."""

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
        column: The column at fault.
        reason: What is wrong, as "empty text".
    """

    row: int
    column: str
    reason: str


def without_bad_rows(
    table: Table, bad: Sequence[BadRow], on_bad_rows: OnBadRows
) -> tuple[Table, list[str]]:
    """Returns the usable rows, and a sentence for each kind that was left out.

    Args:
        table: The rows.
        bad: The rows at fault.
        on_bad_rows: "error" to refuse them, "skip" to leave them out.

    Returns:
        The remaining table and the notes.

    Raises:
        DataError: When there are bad rows to refuse, or no row is left.
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
            fix="mend them"
            if len(rows) == len(table)
            else 'mend them, or leave them out with on_bad_rows="skip"',
        )
    faulty = set(rows)
    kept = table.select([row for row in range(len(table)) if row not in faulty])
    return kept, [f"left out {share}: {counted} · {places}"]
