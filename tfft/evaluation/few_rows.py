"""A note for reports of few rows, whose scores say little."""

from __future__ import annotations

FEW = 20  # with fewer rows, one row changes a score by more than five points
_CHANCE = 0.05


def few_rows_note(rows: int) -> tuple[str, ...]:
    """Returns a note when there are too few rows for reliable scores.

    When all of n rows are right, the share of wrong ones among all rows is below
    1 - 0.05^(1/n) with a confidence of 95 % (the exact form of the rule of three;
    Hanley and Lippman-Hand, 1983).

    Args:
        rows: Number of rows that were scored.

    >>> few_rows_note(6)[0]
    '6 rows tell little: if all are right, up to 39 % of new rows may still be wrong'
    >>> few_rows_note(20)
    ()
    """
    if not 0 < rows < FEW:
        return ()
    wrong = 1 - _CHANCE ** (1 / rows)
    return (
        f"{rows} rows tell little: if all are right, up to {100 * wrong:.0f} % of new "
        "rows may still be wrong",
    )
