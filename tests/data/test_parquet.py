"""Parquet files become rows, or an error with file and row."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfft.core.errors import DataError
from tfft.data.parquet import read_parquet


def parquet(path, columns, names=None):
    arrays = [pa.array(values) for values in columns.values()]
    pq.write_table(pa.table(arrays, names=names or list(columns)), path)
    return path


def test_parquet(tmp_path):
    columns = {
        "text": ["NA", None, "👩‍🚀"],
        "label": [1, None, 3],
        "score": [0.5, float("nan"), None],
        "words": [["a", None], [], None],
        "answers": [{"text": ["x"], "start": [1]}, None, {"text": [], "start": []}],
        "bytes": [b"caf\xc3\xa9", None, b""],
    }
    folder = tmp_path / "split=7"
    folder.mkdir()
    path = parquet(folder / "news.parquet", columns)
    table = read_parquet(path)
    columns["score"][1], columns["bytes"] = None, ["café", None, ""]
    assert table.columns == columns
    assert table.where(2) == f"{path} row 3"


@pytest.mark.parametrize(
    "content", [b"", b"text,label\n", b"PAR1" + b"x" * 40 + b"PAR1"]
)
def test_damaged_parquet_is_refused(tmp_path, content):
    path = tmp_path / "news.parquet"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"cannot be read as Parquet: .* fix: "
    ) as caught:
        read_parquet(path)
    assert caught.value.where == str(path)


def test_truncated_parquet_is_refused(tmp_path):
    path = parquet(tmp_path / "news.parquet", {"text": ["a" * 500] * 50})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_parquet(path)


@pytest.mark.parametrize(
    ("columns", "names", "part"),
    [
        ({"a": pa.array([], pa.string())}, None, "file holds no rows"),
        ({}, None, "file holds no rows"),
        ({"a": [1], "b": [2]}, ["a", "a"], "column 'a' appears twice"),
        ({"a": [b"\xff"]}, None, "holds b'\\xff'"),
    ],
)
def test_parquet_without_usable_rows_is_refused(tmp_path, columns, names, part):
    path = parquet(tmp_path / "news.parquet", columns, names)
    with pytest.raises(DataError) as caught:
        read_parquet(path)
    assert part in str(caught.value)
    assert caught.value.where.startswith(str(path))
