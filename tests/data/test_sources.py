"""One function reads everything that holds rows, split by split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.data.sources import read
from tfft.data.split_names import pick_splits

CSV = "text,label\na,1\n"


def folder_of(path, **files):
    for name, content in files.items():
        (path / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("news.csv", CSV),
        ("NEWS.CSV", CSV),
        ("news.tsv", "text\tlabel\na\t1\n"),
        ("news.jsonl", '{"text": "a", "label": "1"}'),
        ("news.v2.ndjson", '{"text": "a", "label": "1"}'),
    ],
)
def test_files_by_extension(tmp_path, kind, name, content):
    path = tmp_path / name
    path.write_text(content)
    tables = read(kind(path))
    assert list(tables) == ["train"]
    assert tables["train"].columns == {"text": ["a"], "label": ["1"]}
    assert tables["train"].source == str(path)


def test_parquet_files(tmp_path):
    path = tmp_path / "news.parquet"
    pd.DataFrame({"text": ["a", None], "label": [1, 2]}).to_parquet(path)
    assert read(path)["train"].columns == {"text": ["a", None], "label": [1, 2]}


def test_a_path_may_start_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_of(tmp_path, news_csv=CSV)
    assert len(read("~/news.csv")["train"]) == 1


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Dev"])
def test_a_folder_of_splits(tmp_path, name):
    folder_of(tmp_path, test_csv=CSV, train_csv=CSV, readme_md="", extra_csv="x")
    (tmp_path / f"{name}.jsonl").write_text('{"text": "b"}')
    tables = read(tmp_path)
    assert list(tables) == ["train", "validation", "test"]
    assert tables["validation"].columns == {"text": ["b"]}
    assert tables["test"].where(0) == f"{tmp_path / 'test.csv'}:2"


@pytest.mark.parametrize(
    ("files", "error", "parts"),
    [
        ({}, MissingInputError, ["no train file; it holds []", "expected train.*"]),
        (
            {"test_csv": CSV},
            MissingInputError,
            ["no train file; it holds ['test.csv']"],
        ),
        ({"train_xlsx": ""}, MissingInputError, ["holds ['train.xlsx']", ".csv, .tsv"]),
        (
            {"train_csv": CSV, "train_tsv": CSV},
            DataError,
            ['"train.csv" and "train.tsv" are both the train split', "fix: "],
        ),
        (
            {"train_csv": CSV, "dev_csv": CSV, "val_csv": CSV},
            DataError,
            ['"dev.csv" and "val.csv" are both the validation split'],
        ),
        (
            {"train_csv": CSV, "test_csv": "text\n"},
            DataError,
            ["test.csv:1", "no rows"],
        ),
    ],
)
def test_folders_that_hold_no_splits(tmp_path, files, error, parts):
    with pytest.raises(error) as caught:
        read(folder_of(tmp_path, **files))
    wanted = [*parts, str(tmp_path)]
    assert all(part in str(caught.value) for part in wanted), str(caught.value)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("news.cvs", ["news.cvs' is not there", "data", 'did you mean "news.csv"?']),
        ("zzz", ["is not there", "fix: correct the path"]),
        ("absent/news.csv", ["is not there", "fix: there is no folder"]),
        ("news.csv/x", ["is not there", "fix: "]),
        ("a\0b", ["a\\x00b' is not there"]),
        ("x" * 5000, ["is not there"]),
    ],
)
def test_missing_files(tmp_path, name, parts):
    folder_of(tmp_path, news_csv=CSV)
    with pytest.raises(MissingInputError) as caught:
        read(f"{tmp_path}/{name}")
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_an_empty_path_is_not_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(folder_of(tmp_path, train_csv=CSV))
    with pytest.raises(MissingInputError, match="'' is not there · test_data · "):
        read("", option="test_data")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    folder_of(tmp_path, news_csv=CSV)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MissingInputError, match="cannot be read: Permission denied"):
        read(tmp_path / "news.csv")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("news.xlsx", ["ending in .xlsx", "fix: save the sheet as CSV"]),
        ("news.csv.gz", ["ending in .gz", "fix: unpack it"]),
        ("news.txt", ["ending in .txt", "fix: convert the file"]),
        ("news", ["ending in no extension", "fix: convert the file"]),
    ],
)
def test_other_extensions_say_how_to_convert(tmp_path, name, parts):
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
    wanted = [*parts, "expected one of: .csv, .tsv, .jsonl, .ndjson, .parquet"]
    assert all(part in str(caught.value) for part in wanted), str(caught.value)


def test_a_dict_of_splits_takes_every_form(tmp_path):
    folder_of(tmp_path, dev_csv=CSV)
    tables = read(
        {
            "test": pd.DataFrame({"text": ["c"]}),
            "dev": str(tmp_path / "dev.csv"),
            "train": [{"text": "a"}, {"text": "b"}],
        }
    )
    assert {split: table.columns["text"] for split, table in tables.items()} == {
        "train": ["a", "b"],
        "validation": ["a"],
        "test": ["c"],
    }
    assert [table.where(0) for table in tables.values()] == [
        "train list row 1",
        f"{tmp_path / 'dev.csv'}:2",
        "test DataFrame row 1",
    ]


def test_a_dict_of_columns_is_one_table():
    tables = read({"text": ["a", "b"], "test.score": [0, 1]})
    assert list(tables) == ["train"]
    assert tables["train"].columns == {"text": ["a", "b"], "test.score": [0, 1]}


def test_a_dict_of_splits_of_columns():
    tables = read({"train": {"text": ["a"]}, "val": {"text": ["b"]}})
    assert tables["validation"].columns == {"text": ["b"]}


def test_a_hugging_face_dict_may_have_more_splits():
    kind = type("DatasetDict", (dict,), {"__module__": "datasets.dataset_dict"})
    tables = read(kind(unsupervised=[], test=[{"a": 2}], train=[{"a": 1}]))
    assert {split: table.columns for split, table in tables.items()} == {
        "train": {"a": [1]},
        "test": {"a": [2]},
    }


@pytest.mark.parametrize(
    ("data", "error", "parts"),
    [
        (
            {"train": {"a": [1]}, "text": ["b"]},
            ConfigError,
            ["mixes", "'train', 'text'"],
        ),
        (
            {"text": ["b"], "test": ["b"]},
            ConfigError,
            ["mixes", "rename the columns test"],
        ),
        ({"trian": "a.csv"}, ConfigError, ["'trian' holds 'a.csv'", 'mean "train"?']),
        ({"test": [{"a": 1}]}, ConfigError, ["no split is called train; found: test"]),
        (
            {"train": [{"a": 1}], "dev": [{"a": 1}], "val": [{"a": 1}]},
            ConfigError,
            ['"dev" and "val" are both the validation split'],
        ),
        ({"train": 7}, ConfigError, ["7 is of type int", 'data["train"]']),
        (
            {"train": {"train": [{"a": 1}], "test": [{"a": 1}]}},
            ConfigError,
            ["has its own splits: train, test", 'data["train"]', "fix: "],
        ),
        (7, ConfigError, ["7 is of type int", "data", "expected one of: a path"]),
        ([], DataError, ["the train split has no rows", "list", "fix: "]),
        ({}, DataError, ["the train split has no rows", "dict"]),
        ({"a": []}, DataError, ["the train split has no rows"]),
        ({"train": [{"a": 1}], "test": []}, DataError, ["the test split", "test list"]),
        (pd.DataFrame(), DataError, ["the train split has no rows", "DataFrame"]),
        ("tfds:", MissingInputError, ["no TFDS data set ''"]),
    ],
)
def test_data_that_cannot_be_meant(data, error, parts):
    with pytest.raises(error) as caught:
        read(data)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_split_given_as_a_folder_of_splits_is_refused(tmp_path):
    folder_of(tmp_path, train_csv=CSV, test_csv=CSV)
    with pytest.raises(ConfigError, match="has its own splits: train, test · data"):
        read({"train": tmp_path})


def test_splits_come_in_one_order():
    assert list(pick_splits(["dev", "x", "test", "train"], "here").items()) == [
        ("train", "train"),
        ("validation", "dev"),
        ("test", "test"),
    ]
