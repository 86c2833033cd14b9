"""Bad rows are refused by their lines, or left out and counted."""

from __future__ import annotations

import pytest

from tfft.core.errors import DataError
from tfft.data.rows import BadRow, without_bad_rows
from tfft.data.table import Table


@pytest.fixture
def table():
    texts = [f"text {index}" for index in range(10)]
    return Table({"text": texts}, "news.csv", lines=tuple(range(2, 12)))


def bad(*rows, column="text", reason="empty text"):
    return [BadRow(row, column, reason) for row in rows]


@pytest.mark.parametrize("choice", ["error", "skip"])
def test_good_rows_are_left_as_they_are(table, choice):
    kept, notes = without_bad_rows(table, [], choice)
    assert kept is table
    assert notes == []


def test_bad_rows_are_refused_with_lines_and_reasons(table):
    faults = [*bad(7, 2), *bad(4, column="label", reason="no label")]
    with pytest.raises(DataError) as caught:
        without_bad_rows(table, faults, "error")
    assert caught.value.what == (
        "3 of 10 rows cannot be used: "
        'empty text in column "text" (2), no label in column "label" (1)'
    )
    assert caught.value.where == "news.csv:4, news.csv:6, news.csv:9"
    assert caught.value.fix == 'correct them, or leave them out with on_bad_rows="skip"'


def test_five_lines_are_shown_and_the_rest_counted(table):
    with pytest.raises(DataError) as caught:
        without_bad_rows(table, bad(*range(8)), "error")
    places = ", ".join(f"news.csv:{line}" for line in range(2, 7))
    assert caught.value.where == f"{places} and 3 more"


def test_five_reasons_are_shown_and_the_rest_counted(table):
    faults = [one for i in range(8) for one in bad(i, reason=f"'{i},5' is no number")]
    with pytest.raises(DataError) as caught:
        without_bad_rows(table, faults, "error")
    assert caught.value.what.endswith(
        "'4,5' is no number in column \"text\" (1) and 3 other reasons"
    )
    assert caught.value.what.count("is no number") == 5


def test_bad_rows_are_left_out_and_counted(table):
    kept, notes = without_bad_rows(table, bad(0, 9, 4), "skip")
    left = [1, 2, 3, 5, 6, 7, 8]
    assert kept.columns == {"text": [f"text {row}" for row in left]}
    assert [kept.where(i) for i in range(7)] == [f"news.csv:{r + 2}" for r in left]
    assert notes == [
        'left out 3 of 10 rows: empty text in column "text" (3) · '
        "news.csv:2, news.csv:6, news.csv:11"
    ]


def test_a_row_with_two_faults_is_one_row(table):
    faults = [*bad(3), *bad(3, column="label", reason="no label")]
    kept, [note] = without_bad_rows(table, faults, "skip")
    assert len(kept) == 9
    assert note.startswith("left out 1 of 10 rows")
    assert note.endswith("· news.csv:5")


def test_no_row_left_is_an_error_even_when_skipping(table):
    with pytest.raises(DataError, match="10 of 10 rows cannot be used") as caught:
        without_bad_rows(table, bad(*range(10)), "skip")
    assert caught.value.fix == "correct them"
