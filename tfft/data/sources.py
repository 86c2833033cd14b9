"""Reads anything that holds rows into one table for each split."""

from __future__ import annotations

import os
from typing import Any

from tfft.core.errors import ConfigError, DataError, nearest, shorten
from tfft.data import tfds
from tfft.data.objects import is_of, read_object
from tfft.data.paths import read_path
from tfft.data.split_names import SPLIT_NAMES, pick_splits, split_of
from tfft.data.table import Table


def read(data: Any, option: str = "data") -> dict[str, Table]:
    """Reads data from anything that holds rows.

    Args:
        data: A path to a .csv, .tsv, .jsonl, .ndjson or .parquet file; a folder
            with `train.*` and optionally `validation.*` (or valid, val, dev) and
            `test.*`; a folder prepared by TensorFlow Datasets; `tfds:NAME`; a
            pandas data frame; a list of dicts; a dict of columns; a
            `tf.data.Dataset` of dicts; a Hugging Face dataset; an Arrow table, or a
            frame that exports one, such as Polars'; or a dict that maps splits to any
            of these.
        option: The option's name in messages.

    Returns:
        Tables under "train" and, if given, "validation" and "test".

    Raises:
        ConfigError: For any other object.
        MissingInputError: For a file, folder or data set that does not exist.
        DataError: For unusable rows, or none at all.

    >>> read({"text": ["good", "bad"], "label": [1, 0]})["train"].columns["label"]
    [1, 0]
    """
    tables = _read(data, option, split="")
    for split, table in tables.items():
        if not len(table):
            raise DataError(
                f"the {split} split has no rows",
                where=table.source,
                fix="add at least one row",
            )
    return tables


def read_one(data: Any, option: str = "data") -> Table:
    """Reads the rows to predict or to score: of several splits, the test split.

    Args:
        data: Data as accepted by `read`.
        option: The option's name in messages.

    Raises:
        TfftError: As raised by `read`.
    """
    tables = read(data, option)
    return tables["test" if "test" in tables else "train"]


def _read(data: Any, option: str, split: str) -> dict[str, Table]:
    if isinstance(data, str) and data.startswith(tfds.PREFIX):
        return tfds.read_tfds(data)
    if isinstance(data, str | os.PathLike):
        return read_path(data, option)
    if isinstance(data, dict) and _is_of_splits(data, option):
        return _read_splits(data, option)
    return {"train": read_object(data, option, split)}


def _is_of_splits(data: dict[str, Any], option: str) -> bool:
    named = [key for key in data if split_of(key)]
    if is_of(data, "datasets", "DatasetDict") or (named and len(named) == len(data)):
        return True
    if named:
        raise ConfigError(
            f"dict mixes splits and other keys: {shorten(list(data))}",
            where=option,
            expected=f"columns only, or splits only ({', '.join(SPLIT_NAMES)})",
            fix="name every key after a split, or rename the columns "
            + ", ".join(map(str, named)),
        )
    for key, value in data.items():
        if isinstance(value, str | os.PathLike):
            raise ConfigError(
                f"key {shorten(key)} holds {shorten(value)}",
                where=option,
                expected=f"a list of values, or a split ({', '.join(SPLIT_NAMES)})",
                fix=nearest(key, SPLIT_NAMES) or "name the key after a split",
            )
    return False


def _read_splits(data: dict[str, Any], option: str) -> dict[str, Table]:
    tables = {}
    for split, key in pick_splits(list(data), option, ConfigError).items():
        where = f'{option}["{key}"]'
        inner = _read(data[key], where, split)
        if set(inner) != {"train"}:
            raise ConfigError(
                f"{shorten(data[key])} has its own splits: {', '.join(inner)}",
                where=where,
                expected="the rows of one split",
                fix=f"pass it as {option} itself, or name one file",
            )
        tables[split] = inner["train"]
    return tables
