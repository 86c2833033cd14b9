"""Python objects become the rows that they show."""

from __future__ import annotations

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tfft.core.errors import ConfigError, DataError
from tfft.data.objects import read_object
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
        ({"a": [1], "b": [1, 2]}, DataError, ["different lengths", "dict", "fix: "]),
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
