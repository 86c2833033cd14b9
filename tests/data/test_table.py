"""Tables know where each row stood, and say so when something is missing."""

from __future__ import annotations

import datetime

import pytest

from tfft.core.errors import DataError
from tfft.data.fingerprint import fingerprint
from tfft.data.table import Table
from tfft.data.text_files import read_csv


def test_rows_of_a_text_file_stand_on_lines():
    table = Table({"text": ["a", "b", "c"]}, "news.csv", lines=(2, 4, 5))
    assert len(table) == 3
    assert table.where(1) == "news.csv:4"


def test_other_rows_are_numbered_from_1():
    assert Table({"text": ["a", "b"]}, "DataFrame").where(1) == "DataFrame row 2"


def test_selected_rows_keep_their_lines():
    table = Table({"text": ["a", "b", "c"]}, "news.csv", lines=(2, 4, 5))
    chosen = table.select([2, 0]).select([1, 0])
    assert chosen == Table({"text": ["a", "c"]}, "news.csv", lines=(2, 5))


def test_selected_rows_keep_their_numbers():
    chosen = Table({"text": ["a", "b", "c"]}, "DataFrame").select([2, 1]).select([0])
    assert chosen.columns == {"text": ["c"]}
    assert chosen.where(0) == "DataFrame row 3"


def test_an_empty_selection_is_a_table():
    table = Table({"text": ["a"]}, "news.csv", lines=(2,)).select([])
    assert (len(table), table.columns, table.lines) == (0, {"text": []}, ())


def test_rows_become_columns_in_the_order_of_the_first():
    table = Table.from_rows([{"b": 1, "a": None}, {"a": "x", "b": 2}], "list")
    assert list(table.columns.items()) == [("b", [1, 2]), ("a", [None, "x"])]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([{"a": 1}, {"b": 1}], ['"a" is missing, "b" is extra', "news.jsonl:9"]),
        ([{"a": 1}, {"a": 1, "b": 1}], ['"b" is extra', "news.jsonl:9", "expected a"]),
        ([{"a": 1, "b": 1}, {"b": 1}], ['"a" is missing', "news.jsonl:9"]),
        ([{"a": 1}, ["x"]], ["type list: ['x']", "news.jsonl:9", "fix: write each"]),
    ],
)
def test_rows_unlike_the_first_are_refused(rows, parts):
    with pytest.raises(DataError) as caught:
        Table.from_rows(rows, "news.jsonl", lines=[7, 9])
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"a": [1], "b": [1, 2]}, ["different lengths: {'a': 1, 'b': 2}"]),
        ({"a": [1], 3: [1]}, ["column name 3 is not text"]),
        ({"a": [1], " ": [1]}, ["column 2 has no name"]),
    ],
)
def test_columns_that_make_no_table_are_refused(columns, parts):
    with pytest.raises(DataError) as caught:
        Table(columns, "DataFrame")
    assert all(part in str(caught.value) for part in [*parts, "DataFrame", "fix: "])


def test_a_column_is_found_by_name():
    assert Table({"text": ["a"], "label": [1]}, "list").column("label") == [1]


@pytest.mark.parametrize(
    ("names", "wanted", "option", "fix"),
    [
        (["text", "label"], "lable", "--label", 'fix: did you mean "label"?'),
        (["text", "label"], "body", "--text", "fix: name the column with --text"),
        (["text", "label"], "body", "", "fix: use one of the names"),
        (["text;label"], "text", "--text", "delimited by semicolons (';'): save it"),
        (["text\tlabel"], "text", "--text", "delimited by tabs ('\\t'): save it"),
        (["text|label"], "label", "", "delimited by bars ('|'): save it"),
    ],
)
def test_a_missing_column_is_named_with_a_way_out(names, wanted, option, fix):
    table = Table({name: ["x"] for name in names}, "news.csv", lines=(2,))
    with pytest.raises(DataError) as caught:
        table.column(wanted, option)
    message = str(caught.value)
    assert message.startswith(f'column "{wanted}" is missing · news.csv:1 · ')
    assert fix in message


def test_a_missing_column_lists_those_there_are():
    columns = {"text": [1], "a\x1bb": [1], "x" * 90: [1]}
    with pytest.raises(
        DataError, match="DataFrame · expected one of: text, "
    ) as caught:
        Table(columns, "DataFrame").column("label")
    assert "'a\\x1bb'" in str(caught.value)
    assert "x" * 80 not in str(caught.value)


def test_a_thousand_columns_are_not_all_listed():
    with pytest.raises(DataError, match="c19, and 980 more ·"):
        Table({f"c{n}": [1] for n in range(1000)}, "DataFrame").column("label")


def test_the_same_rows_have_one_fingerprint(tmp_path):
    path = tmp_path / "news.csv"
    path.write_text("text,label\ncafé 👩‍🚀,NA\n,1\n", encoding="utf-8")
    rows = [{"label": "NA", "text": "café 👩‍🚀"}, {"label": "1", "text": ""}]
    assert fingerprint(read_csv(path)) == fingerprint(Table.from_rows(rows, "list"))


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ["a", "b"], "label": ["0", None]},
        {"text": ["b", "a"], "label": ["0", "1"]},
        {"text": ["a", "b"], "label": [0, 1]},
        {"text": ["a", "b"], "target": ["0", "1"]},
        {"text": ["0", "1"], "label": ["a", "b"]},
        {"text": ["a", "b"]},
        {"text": [["a"], "b"], "label": ["0", "1"]},
        {"text": ["a"], "label": ["0"]},
        {"text": ["a", "b"], "label": ["0", "None"]},
        {"text": ["a", "b"], "label": [True, 1.5]},
        {"text": ["a", "b"], "label": ["0", datetime.date(2026, 1, 2)]},
        {"text": ["a", "b"], "label": ["0", "2026-01-02"]},
        {"text": ["a\nb", ""], "label": ["0", "1"]},
    ],
)
def test_other_rows_have_another_fingerprint(columns):
    first = Table({"text": ["a", "b"], "label": ["0", "1"]}, "list")
    assert fingerprint(first) != fingerprint(Table(columns, "list"))


def test_fingerprints_take_lone_surrogates_and_refuse_endless_nesting():
    assert len(fingerprint(Table({"text": ["\ud800"]}, "list"))) == 64
    endless: list = []
    endless.append(endless)
    with pytest.raises(DataError, match="cannot be written as JSON"):
        fingerprint(Table({"text": [endless]}, "list"))
