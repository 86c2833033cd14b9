"""Python objects become the rows that they show."""

from __future__ import annotations

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfft.core.errors import ConfigError, DataError
from tfft.data.objects import read_object
from tfft.data.parquet import read_parquet
from tfft.data.table import Table


class ClassLabel:
    def __init__(self, *names):
        self.names = list(names)


class Sequence:
    def __init__(self, feature):
        self.feature = feature


def hugging_face(columns, features=None):
    """A stand-in with the part of `datasets.Dataset` that tfft touches."""
    kind = type("Dataset", (), {"__module__": "datasets.arrow_dataset"})
    dataset = kind()
    dataset.column_names = list(columns)
    dataset.features = features
    dataset.to_dict = lambda: columns
    return dataset


def tensors(*rows):
    return tf.data.Dataset.from_tensor_slices(
        {name: [row[name] for row in rows] for name in rows[0]}
    )


@pytest.mark.parametrize(
    ("frame", "columns"),
    [
        (pd.DataFrame({"t": ["NA", "", "é"]}), {"t": ["NA", "", "é"]}),
        (pd.DataFrame({"t": ["a", None, np.nan, pd.NA]}), {"t": ["a"] + [None] * 3}),
        (pd.DataFrame({"n": [1.5, float("nan")]}), {"n": [1.5, None]}),
        (pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}), {"n": [1, None]}),
        (pd.DataFrame({"n": pd.Categorical(["a", None])}), {"n": ["a", None]}),
        (pd.DataFrame({"n": [pd.NaT, pd.NaT]}), {"n": [None, None]}),
        (pd.DataFrame({"n": [1, 2]}, index=[7, 7]), {"n": [1, 2]}),
        (pd.DataFrame({"n": [np.array([1, 2]), ["a"]]}), {"n": [[1, 2], ["a"]]}),
        (pd.DataFrame({"n": [b"caf\xc3\xa9"]}), {"n": ["café"]}),
        (pd.DataFrame({"n": np.array([True, False])}), {"n": [True, False]}),
    ],
)
def test_data_frames(frame, columns):
    table = read_object(frame)
    assert table.columns == columns
    assert [type(x) for x in table.columns.popitem()[1]] == [
        type(x) for x in columns.popitem()[1]
    ]
    assert (table.source, table.lines) == ("DataFrame", None)


def test_a_data_frame_of_a_split_says_so():
    assert read_object(pd.DataFrame({"a": [1]}), split="test").where(0) == (
        "test DataFrame row 1"
    )


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (
            [{"a": "x", "b": 1}, {"b": None, "a": "y"}],
            {"a": ["x", "y"], "b": [1, None]},
        ),
        (({"a": np.int64(3)}, {"a": np.float32(0.5)}), {"a": [3, 0.5]}),
        ([{"a": float("nan")}, {"a": np.float64("nan")}], {"a": [None, None]}),
        (
            [{"a": {"text": np.array(["x"]), 1: (1, 2)}}],
            {"a": [{"text": ["x"], "1": [1, 2]}]},
        ),
        ({"a": ["x", "y"], "b": np.array([1, 2])}, {"a": ["x", "y"], "b": [1, 2]}),
        ({"a": pd.Series([1.0, None])}, {"a": [1.0, None]}),
        ({"a": ("x", np.str_("y"))}, {"a": ["x", "y"]}),
        ([{"a": datetime.date(2026, 1, 2)}], {"a": [datetime.date(2026, 1, 2)]}),
        ([{"a": np.longdouble(1)}], {"a": [np.longdouble(1)]}),
    ],
)
def test_lists_and_dicts(data, columns):
    assert read_object(data).columns == columns


def test_the_caller_keeps_what_is_his():
    data = {"a": [1, 2], "b": [["x"], ["y"]]}
    table = read_object(data)
    table.columns["a"].append(3)
    table.columns["b"][0].append("z")
    assert data == {"a": [1, 2], "b": [["x"], ["y"]]}


def test_a_table_passes_as_it_is():
    table = Table({"a": [1]}, "news.csv", lines=(2,))
    assert read_object(table) is table


@pytest.mark.parametrize(
    ("data", "error", "parts"),
    [
        ([{"a": 1}, {"b": 1}], DataError, ['"a" is missing', "list row 2", "fix: "]),
        ([{"a": 1}, 7], DataError, ["type int: 7", "list row 2", "fix: write each"]),
        ([{1: "x"}], DataError, ["column name 1 is not text", "list"]),
        ([{"a": b"\xff"}], DataError, ["holds b'\\xff'", "list row 1", "give UTF-8"]),
        ({"a": [1], "b": [1, 2]}, DataError, ["unequal length", "dict", "fix: "]),
        ({"a": "text"}, ConfigError, ["column 'a' is of type str: 'text'", "dict"]),
        ({"a": 3}, ConfigError, ["of type int: 3", "expected a list or an array"]),
        (pd.DataFrame([[1, 2]]), DataError, ["column name 0 is not text", "DataFrame"]),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            DataError,
            ["column 'a' appears twice", "DataFrame", "fix: "],
        ),
        ({1, 2}, ConfigError, ["{1, 2} is of type set", "data", "a list of dicts"]),
        (None, ConfigError, ["None is of type NoneType", "fix: convert it"]),
        (np.zeros(3), ConfigError, ["of type ndarray"]),
        (iter([]), ConfigError, ["of type list_iterator"]),
    ],
)
def test_what_is_no_table_is_refused(data, error, parts):
    with pytest.raises(error) as caught:
        read_object(data)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_endless_nesting_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(DataError, match='"a" is nested too deeply · list row 1'):
        read_object([{"a": endless}])


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [
        (
            tensors({"t": "café", "l": 1}, {"t": "", "l": 0}),
            {"t": ["café", ""], "l": [1, 0]},
        ),
        (tensors({"t": "a"}, {"t": "b"}).batch(2).unbatch(), {"t": ["a", "b"]}),
        (tensors({"t": "a"}).prefetch(1).cache().shuffle(1), {"t": ["a"]}),
        (
            tensors({"w": ["a", "b"]}, {"w": ["c", "d"]}),
            {"w": [["a", "b"], ["c", "d"]]},
        ),
        (tensors({"t": "a"}, {"t": "b"}).repeat(2).take(3), {"t": ["a", "b", "a"]}),
        (tensors({"n": float("nan")}), {"n": [None]}),
        (
            tf.data.Dataset.from_tensor_slices({"w": tf.ragged.constant([["a"], []])}),
            {"w": [["a"], []]},
        ),
        (
            tf.data.Dataset.from_generator(
                lambda: iter([{"w": ["a"]}, {"w": ["b", "c"]}]),
                output_signature={"w": tf.TensorSpec([None], tf.string)},
            ),
            {"w": [["a"], ["b", "c"]]},
        ),
    ],
)
def test_tf_datasets(dataset, columns):
    table = read_object(dataset)
    assert table.columns == columns
    assert table.where(0) == "tf.data.Dataset row 1"


def failing():
    yield {"t": "a"}
    raise ValueError("the well is dry")


@pytest.mark.parametrize(
    ("dataset", "parts"),
    [
        (tensors({"t": "a"}).batch(2), ["dataset is batched", "fix: add unbatch()"]),
        (tensors({"t": "a"}).batch(2, True).prefetch(1), ["dataset is batched"]),
        (tensors({"t": ["a"]}).padded_batch(2), ["dataset is batched"]),
        (tensors({"t": "a"}).ragged_batch(2), ["dataset is batched"]),
        (tensors({"t": "a"}).batch(2).map(lambda row: row), ["dataset is batched"]),
        (
            tensors({"t": "a"}).repeat(),
            ["dataset has no end", "fix: leave out repeat()"],
        ),
        (tensors({"t": "a"}).map(lambda row: row["t"]), ["elements are no dicts"]),
        (tensors({"t": "a"}).map(lambda row: (row, 1)), ["elements are no dicts"]),
        (tf.data.Dataset.from_tensor_slices({1: ["a"]}), ["column name 1 is not text"]),
        (
            tensors({"t": [1, 0]}).map(
                lambda row: {"t": tf.sparse.from_dense(row["t"])}
            ),
            ["hold a SparseTensorSpec", "fix: map it"],
        ),
        (tensors({"t": b"\xff"}), ["holds b'\\xff'", "row 1", "fix: give UTF-8 text"]),
        (
            tf.data.Dataset.from_generator(
                failing, output_signature={"t": tf.TensorSpec([], tf.string)}
            ),
            ["reading failed: ", "the well is dry", "row 2", "fix: "],
        ),
    ],
)
def test_tf_datasets_that_cannot_be_read(dataset, parts):
    with pytest.raises(DataError) as caught:
        read_object(dataset)
    wanted = [*parts, "tf.data.Dataset"]
    assert all(part in str(caught.value) for part in wanted), str(caught.value)


def test_hugging_face_class_numbers_become_names():
    features = {
        "label": ClassLabel("bad", "good"),
        "tags": Sequence(ClassLabel("O", "B")),
        "answers": Sequence({"kind": ClassLabel("x", "y"), "n": object()}),
        "text": object(),
    }
    columns = {
        "text": ["a", "b", None],
        "label": [1, 0, -1],
        "tags": [[0, 1], [], None],
        "answers": [{"kind": [1, 0], "n": [5, 6]}, {"kind": [], "n": []}, None],
    }
    table = read_object(hugging_face(columns, features))
    assert table.columns == {
        "text": ["a", "b", None],
        "label": ["good", "bad", None],
        "tags": [["O", "B"], [], None],
        "answers": [{"kind": ["y", "x"], "n": [5, 6]}, {"kind": [], "n": []}, None],
    }
    assert table.where(2) == "datasets.Dataset row 3"


def test_hugging_face_without_features():
    assert read_object(hugging_face({"n": [1, 2]})).columns == {"n": [1, 2]}


def test_a_class_number_without_a_name_is_refused():
    dataset = hugging_face({"label": [0, 2]}, {"label": ClassLabel("bad", "good")})
    with pytest.raises(DataError, match=r'"label" holds 2: class 2 of 2 · .* row 2'):
        read_object(dataset)


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


def test_reading_rows_imports_nothing_heavy(tmp_path):
    path = tmp_path / "news.csv"
    path.write_text("text\na\n")
    code = (
        "import sys; from tfft.data.sources import read; "
        f"read({str(path)!r}); read([{{'a': 1}}]); read({{'a': [1]}}); "
        "print(sorted({'tensorflow', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("[]\n", "")
