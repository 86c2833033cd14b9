"""The same rows give the same splits, in whatever form they come."""

from __future__ import annotations

import csv
import json

import pytest

from tfft.core.errors import ConfigError
from tfft.fitting.prepare import prepare
from tfft.tasks.multi_label import MultiLabel
from tfft.tasks.text_classification import TextClassification


def read(data, **options):
    given = {"validation": 0.1, "test": 0.1, "on_bad_rows": "error", "seed": 1}
    return prepare(TextClassification(), data, **{**given, **options})


def delimited(path, rows, delimiter=","):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)
    return path


def as_csv(rows, folder):
    return delimited(folder / "a.csv", rows)


def as_tsv(rows, folder):
    return str(delimited(folder / "a.tsv", rows, "\t"))


def as_jsonl(rows, folder):
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_parquet(rows, folder):
    import pyarrow
    import pyarrow.parquet

    path = folder / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def as_frame(rows, folder):
    import pandas

    return pandas.DataFrame(rows)


def as_rows(rows, folder):
    return rows


def as_columns(rows, folder):
    return {name: [row[name] for row in rows] for name in rows[0]}


def as_dataset(rows, folder):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(as_columns(rows, folder))


def as_folder(rows, folder):
    delimited(folder / "train.csv", rows)
    return folder


def as_splits(rows, folder):
    return {"train": rows}


FORMS = [as_csv, as_tsv, as_jsonl, as_parquet, as_frame, as_rows, as_columns,
         as_dataset, as_folder, as_splits]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form, make_rows, tmp_path):
    rows = make_rows(40)
    prepared, plain = read(form(rows, tmp_path)), read(rows)
    assert {split: len(table) for split, table in prepared.tables.items()} == {
        "train": 32, "validation": 4, "test": 4,
    }  # fmt: skip
    assert prepared.labels == ("neg", "pos")
    assert prepared.fingerprint == plain.fingerprint
    for split, table in prepared.tables.items():
        assert table.columns == plain.tables[split].columns


def test_splits_share_no_row_and_lose_none(make_rows):
    rows = make_rows(100) + make_rows(20)  # 20 copies
    tables = read(rows).tables
    texts = {split: set(table.columns["text"]) for split, table in tables.items()}
    assert sum(map(len, tables.values())) == 120
    assert not texts["train"] & (texts["validation"] | texts["test"])
    assert not texts["validation"] & texts["test"]


def test_the_test_rows_do_not_depend_on_the_share_of_validation(make_rows):
    parts = [read(make_rows(100), validation=share) for share in (0, 0.1, 0.4)]
    assert len({part.fingerprint["test"] for part in parts}) == 1
    assert [len(part.tables.get("validation", [])) for part in parts] == [0, 9, 36]


def test_another_seed_gives_other_splits(make_rows):
    one, two = (read(make_rows(100), seed=seed) for seed in (1, 2))
    assert one.fingerprint["test"] != two.fingerprint["test"]


def test_given_files_are_the_splits(make_rows, tmp_path):
    delimited(tmp_path / "val.csv", make_rows(7, seed=1))
    test = as_jsonl(make_rows(9, seed=2), tmp_path)
    given = read(make_rows(40), validation=str(tmp_path / "val.csv"), test=test)
    delimited(tmp_path / "train.csv", make_rows(40))
    delimited(tmp_path / "test.csv", make_rows(9, seed=2))
    found = read(tmp_path)
    as_dict = read(
        {"train": make_rows(40), "dev": make_rows(7, seed=1), "test": test},
    )
    sizes = {split: len(table) for split, table in given.tables.items()}
    assert sizes == {"train": 40, "validation": 7, "test": 9}
    assert given.fingerprint == found.fingerprint == as_dict.fingerprint


def test_a_split_given_twice_is_refused(make_rows):
    splits = {"train": make_rows(40), "test": make_rows(9)}
    with pytest.raises(ConfigError, match=r"test is given twice.*leave test= out"):
        read(splits, test=make_rows(5))


def test_test_rows_that_stand_in_train_are_noted(make_rows):
    prepared = read(make_rows(40), test=make_rows(40)[:7])
    assert "test: 7 of 7 texts are also in train" in " ".join(prepared.notes)


@pytest.mark.parametrize("share", [0.95, -0.1, "1.5"])
def test_a_share_that_is_none_is_refused(make_rows, share):
    with pytest.raises(ConfigError, match=r"test=.*from 0 up to 0\.9"):
        read(make_rows(40), test=share)


@pytest.mark.parametrize("seed", range(8))
def test_a_split_made_here_never_lacks_a_label_in_train(seed):
    # Copies of a text with two labels stay together, and "b" is nowhere else.
    rows = [{"text": f"a {i}", "label": "a"} for i in range(12)]
    rows += [{"text": "copy", "label": "a"}, {"text": "copy", "label": "b"}]
    tables = read(rows, validation=0.4, test=0.3, seed=seed).tables
    assert set(tables["train"].columns["label"]) == {"a", "b"}
    assert sum(map(len, tables.values())) == 14


@pytest.mark.parametrize("seed", range(8))
def test_nor_one_of_several_labels(seed):
    kinds = [["a", "b"], ["a", "c"], ["b"], ["c"], ["b"], ["c"], ["d"], ["d", "b"]]
    rows = [{"text": f"t {i}", "labels": kinds[i % 8]} for i in range(8)]
    options = {"validation": 0.4, "test": 0.3, "on_bad_rows": "error", "seed": seed}
    found = prepare(MultiLabel(), rows, **options)
    train = {
        one for labels in found.tables["train"].columns["labels"] for one in labels
    }
    assert train == {"a", "b", "c", "d"} == set(found.labels)
