"""What the scores of few rows cannot tell."""

from __future__ import annotations

FEW = 20  # rows below which a score moves by five points with each
_CHANCE = 0.05


def few_rows_note(rows: int) -> tuple[str, ...]:
    """Returns a sentence when rows are too few for their scores to tell much.

    When all of n rows are right, the share of wrong ones among all rows is below
    1 - 0.05^(1/n) with a confidence of 95 % (the exact form of the rule of three;
    Hanley and Lippman-Hand, 1983).

    Args:
        rows: How many were scored.

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
