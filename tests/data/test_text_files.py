"""CSV, TSV and JSONL: the right rows, or an error with file and line."""

from __future__ import annotations

import csv
import json
from functools import partial

import pytest

from tfft.core.errors import DataError
from tfft.data.text_files import read_csv, read_jsonl

read_tsv = partial(read_csv, delimiter="\t")
DEEP = b'{"a": ' + b"[" * 100_000


def written(folder, content, name="data.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("read", "content", "columns", "lines"),
    [
        (read_csv, "t,l\na,1\nb,2\n", {"t": ["a", "b"], "l": ["1", "2"]}, (2, 3)),
        (read_csv, "t,l\na,1", {"t": ["a"], "l": ["1"]}, (2,)),
        (read_csv, "\ufefft,l\na,1\n", {"t": ["a"], "l": ["1"]}, (2,)),
        (read_csv, '\ufeff"t",l\na,1\n', {"t": ["a"], "l": ["1"]}, (2,)),
        (read_csv, "t\r\na\r\nb\r\n", {"t": ["a", "b"]}, (2, 3)),
        (read_csv, "t\ra\rb\r", {"t": ["a", "b"]}, (2, 3)),
        (read_csv, 't\n"a\nb"\nc\n', {"t": ["a\nb", "c"]}, (2, 4)),
        (read_csv, 't\r\n"a\r\nb"\r\nc\r\n', {"t": ["a\r\nb", "c"]}, (2, 4)),
        (read_csv, "t\n\na\n\n\nb\n\n", {"t": ["a", "b"]}, (3, 6)),
        (read_csv, 't\n"a ""b"", c"\n', {"t": ['a "b", c']}, (2,)),
        (read_csv, 't\n5" screen\n', {"t": ['5" screen']}, (2,)),
        (read_csv, "t,l\na,\n,\n", {"t": ["a", ""], "l": ["", ""]}, (2, 3)),
        (
            read_csv,
            "t\nNA\nnull\nNone\nnan\nTrue\n007\n1e5\n",
            {"t": ["NA", "null", "None", "nan", "True", "007", "1e5"]},
            (2, 3, 4, 5, 6, 7, 8),
        ),
        (read_csv, "t\n👩‍🚀 café\n", {"t": ["👩‍🚀 café"]}, (2,)),
        (read_csv, "t\n a \n", {"t": [" a "]}, (2,)),
        (read_csv, "t\na\u2028b\x0cc\x85d\n", {"t": ["a\u2028b\x0cc\x85d"]}, (2,)),
        (read_csv, 't\n""\n', {"t": [""]}, (2,)),
        (read_tsv, "t\tl\na, b\t1\n", {"t": ["a, b"], "l": ["1"]}, (2,)),
        (read_tsv, 't\tl\n"a\tb\nc"\t1\n', {"t": ["a\tb\nc"], "l": ["1"]}, (2,)),
        (read_jsonl, '{"a": "x"}\n{"a": "y"}\n', {"a": ["x", "y"]}, (1, 2)),
        (read_jsonl, '\ufeff{"a": 1}', {"a": [1]}, (1,)),
        (read_jsonl, '\n{"a": 1}\r\n \t\r\n{"a": 2}\r\n\n', {"a": [1, 2]}, (2, 4)),
        (read_jsonl, '{"a": 1, "b": 2}\n{"b": 3, "a": null}', None, (1, 2)),
        (read_jsonl, '{"a": "NA"}\n{"a": "null"}', {"a": ["NA", "null"]}, (1, 2)),
        (
            read_jsonl,
            '{"a": [true, 1.5, {"b": "👩‍🚀\\n"}]}',
            {"a": [[True, 1.5, {"b": "👩‍🚀\n"}]]},
            (1,),
        ),
        (
            read_jsonl,
            '{"a": "x\u2028y\x7f\x85z"}\n',
            {"a": ["x\u2028y\x7f\x85z"]},
            (1,),
        ),
        (read_jsonl, '{"a": 1}\r{"a": 2}\r', {"a": [1, 2]}, (1, 2)),
        (read_jsonl, '{"a": "\\ud83d\\ude00"}\n', {"a": ["😀"]}, (1,)),
    ],
)
def test_rows_are_read_as_written(tmp_path, read, content, columns, lines):
    path = written(tmp_path, content)
    table = read(path)
    assert table.columns == (columns or {"a": [1, None], "b": [2, 3]})
    assert table.lines == lines
    assert table.where(0) == f"{path}:{lines[0]}"


@pytest.mark.parametrize(
    ("read", "content", "line", "parts"),
    [
        (read_csv, "", 1, ["file is empty", "fix: add at least one row"]),
        (read_csv, "\ufeff", 1, ["file is empty"]),
        (read_csv, "\n\r\n\n", 1, ["file is empty"]),
        (read_csv, "t,l\n", 1, ["a header and no rows", "fix: add at least one row"]),
        (read_csv, "t,l,t\na,1,2\n", 1, ["column 't' appears twice", "fix: give each"]),
        (read_csv, "t,,l\na,1,2\n", 1, ["column 2 has no name", "fix: give each"]),
        (read_csv, "\nt, \na,1\n", 2, ["column 2 has no name"]),
        (
            read_csv,
            "t,l\na,1\nb\n",
            3,
            ["row has 1 cell: ['b']", "expected 2,", "fix: add the missing cells"],
        ),
        (
            read_csv,
            't,l\n"a\nb",1\nc,d,2\n',
            4,
            ["row has 3 cells: ['c', 'd', '2']", "expected 2,", "fix: put quotes"],
        ),
        (read_tsv, "t\tl\na 1\n", 2, ["row has 1 cell: ['a 1']", "expected 2,"]),
        (
            read_csv,
            't,l\na,1\n"b,2\nc,3\nd,4\n',
            3,
            ["a quote is opened in this row and never closed", "fix: close the quote"],
        ),
        (read_csv, '"t,l\na,1\n', 1, ["a quote is opened in this row"]),
        (
            read_csv,
            't,l\n"a,1\nb,2\n"c",3\n',
            2,
            ["the row that ends on line 4 cannot be split", "fix: close the quote"],
        ),
        (read_csv, "t,l\na,1\nb\0,2\n", 3, ["NUL at column 2", "fix: remove it"]),
        (read_csv, "t,l\na,1\n".encode("utf-16-le"), 1, ["NUL", "UTF-16, save it as"]),
        (read_csv, "t,l\na,1\n".encode("utf-16"), 1, ["looks like UTF-16", "as UTF-8"]),
        (
            read_csv,
            "t,l\na,1\ncafé,2\n".encode("latin-1"),
            3,
            ["byte 0xe9 is not UTF-8 (byte 4 of the line): b'caf\\xe9,2", "as UTF-8"],
        ),
        (read_csv, b"t\ra\r\xe9\r", 3, ["byte 0xe9"]),
        (read_csv, b"t,l\na,\xf0\x9f\x98", 2, ["byte 0xf0 is not UTF-8"]),
        (read_csv, b"t\n" + b"a\n" * 50_000 + b"\xff", 50_002, ["byte 0xff"]),
        (read_jsonl, "", 1, ["file is empty", "fix: add at least one row"]),
        (read_jsonl, "\n \n", 1, ["file is empty"]),
        (
            read_jsonl,
            '{"a": 1}\n\n{"a": 2,}\n',
            3,
            ["invalid JSON at column 9", '\'{"a": 2,}', "fix: write one JSON object"],
        ),
        (read_jsonl, '{"a": 1}\n{"a": 1', 2, ["invalid JSON at column 8"]),
        (read_jsonl, '{"a": 1}{"a": 2}\n', 1, ["invalid JSON at column 9: Extra data"]),
        (read_jsonl, '{\n  "a": 1\n}\n', 1, ["invalid JSON", "one JSON object"]),
        (read_jsonl, '{"a": "x\0"}', 1, ["invalid JSON at column 9: Invalid control"]),
        (read_jsonl, '[{"a": 1}]', 1, ["holds [{'a': 1}]", "expected a JSON object"]),
        (
            read_jsonl,
            '{"a": 1}\n"text"\n',
            2,
            ["holds 'text'", "expected a JSON object"],
        ),
        (read_jsonl, '{"a": 1}\nnull\n', 2, ["line holds None"]),
        (read_jsonl, '{"a": 1, "b": 2, "a": 3}', 1, ["key 'a' appears twice", "fix: "]),
        (read_jsonl, '{"a": {"b": 2, "b": 2}}', 1, ["key 'b' appears twice"]),
        (
            read_jsonl,
            '{"a": 1}\n{"a": NaN}',
            2,
            ["NaN is not a finite number", "fix: "],
        ),
        (read_jsonl, '{"a": [-Infinity]}', 1, ["-Infinity is not a finite number"]),
        (read_jsonl, '{"a": 1e999}', 1, ["1e999 is not a finite number"]),
        (read_jsonl, '{"a": ' + "1" * 5000 + "}", 1, ["4300 digits"]),
        (read_jsonl, b'{"a": 1}\n' + DEEP, 2, ["JSON is nested too deeply", "fix: "]),
        (
            read_jsonl,
            '{"a": 1}\n{"b": 1}',
            2,
            ['"a" is missing, "b" is extra', "fix: "],
        ),
        (read_csv, 't;l\n"a";"b"\n', 2, ["delimited by semicolons", "with commas"]),
        (read_csv, "t;l\na;0,5\n", 2, ["delimited by semicolons", "with commas"]),
        (read_csv, "t\tl\na, b\tc\n", 2, ["delimited by tabs", "as .tsv"]),
        (read_jsonl, '{"a": 1, "b": 2}\n\n{"a": 1}', 3, ['"b" is missing']),
        (read_jsonl, '{"a": 1}\n{"a": 1, "b": 2}', 2, ['"b" is extra', "expected a"]),
        (
            read_jsonl,
            '{"a": 1}\n{"a": "é"}'.encode("latin-1"),
            2,
            ["byte 0xe9 is not UTF-8 (byte 8 of the line)", "as UTF-8"],
        ),
        (read_jsonl, '{"a": 1}'.encode("utf-16"), 1, ["looks like UTF-16", "as UTF-8"]),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path, read, content, line, parts
):
    path = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}:{line}"
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.parametrize("read", [read_csv, read_jsonl])
def test_a_line_of_two_megabytes_is_one_value(tmp_path, read):
    text = "word " * 400_000
    content = f"t\n{text}\n" if read is read_csv else json.dumps({"t": text})
    before = csv.field_size_limit()
    assert read(written(tmp_path, content)).columns == {"t": [text]}
    assert csv.field_size_limit() == before


def test_what_csv_writes_is_read_back(tmp_path):
    texts = ["", '"', 'a"b', ",", "\n", "\r\n", "a\nb\n", " ", "'", "\\", "é", "\t"]
    path = tmp_path / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    assert read_csv(path).columns == {"text": texts}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_the_index_of_pandas_has_the_name_that_pandas_gives_it(
    tmp_path, times, separator
):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "a.csv"
    frame = pandas.DataFrame({"text": ["x", "y"], "label": [1, 0]})
    for _ in range(times):
        frame.to_csv(path, sep=separator)
        frame = pandas.read_csv(path, sep=separator)
    table = read_csv(path, separator)
    assert list(table.columns) == list(frame.columns)
    assert [list(map(str, one)) for one in table.columns.values()] == [
        list(map(str, frame[name])) for name in frame.columns
    ]


def test_an_index_of_two_levels_is_two_columns(tmp_path):
    (tmp_path / "a.csv").write_text(",,text\na,1,x\n")
    found = read_csv(tmp_path / "a.csv").columns
    assert list(found) == ["Unnamed: 0", "Unnamed: 1", "text"]
