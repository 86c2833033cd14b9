"""The one way in: whatever holds rows becomes tables by split."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tfft.core.errors import (
    ConfigError,
    DataError,
    MissingInputError,
    nearest,
    one_of,
    shorten,
)
from tfft.data import tfds
from tfft.data.objects import is_of, read_object
from tfft.data.parquet import read_parquet
from tfft.data.split_names import SPLIT_NAMES, pick_splits, split_of
from tfft.data.table import Table
from tfft.data.text_files import read_csv, read_jsonl

_FILE_READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": read_csv,
    ".tsv": partial(read_csv, delimiter="\t"),
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
}
_CONVERSIONS = {
    ".json": "write one object a line and name the file .jsonl",
    ".xls": "save the sheet as CSV in UTF-8",
    ".xlsx": "save the sheet as CSV in UTF-8",
    ".ods": "save the sheet as CSV in UTF-8",
    ".gz": "unpack it",
    ".zip": "unpack it",
}


def read(data: Any, option: str = "data") -> dict[str, Table]:
    """Reads data from anything that holds rows.

    Args:
        data: A path to a .csv, .tsv, .jsonl, .ndjson or .parquet file; a folder
            with `train.*` and perhaps `validation.*` (or valid, val, dev) and
            `test.*`; a folder prepared by TensorFlow Datasets; `tfds:NAME`; a
            pandas data frame; a list of dicts; a dict of columns; a
            `tf.data.Dataset` of dicts; a Hugging Face dataset; or a dict of splits
            to any of these.
        option: The option that holds the data, for messages.

    Returns:
        Tables under "train" and, where given, "validation" and "test".

    Raises:
        ConfigError: For an object of another kind.
        MissingInputError: For a file, folder or data set that is not there.
        DataError: For rows that cannot be used, or none at all.

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


def _read(data: Any, option: str, split: str) -> dict[str, Table]:
    if isinstance(data, str) and data.startswith(tfds.PREFIX):
        return tfds.read_tfds(data)
    if isinstance(data, str | os.PathLike):
        return _read_path(data, option)
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
                f"{shorten(data[key])} has splits of its own: {', '.join(inner)}",
                where=where,
                expected="the rows of one split",
                fix=f"give it as {option} itself, or name one file",
            )
        tables[split] = inner["train"]
    return tables


def _read_path(given: str | os.PathLike[str], option: str) -> dict[str, Table]:
    path = Path(given).expanduser()
    if not str(given) or not _exists(path):
        raise _missing_path(given, path, option)
    try:
        if not path.is_dir():
            return {"train": _read_file(path)}
        if tfds.is_prepared_directory(path):
            return tfds.read_tfds_directory(path)
        return _read_directory(path)
    except OSError as error:
        raise MissingInputError(
            f"cannot be read: {error.strerror or error}",
            where=str(error.filename or path),
            fix="check that file and folder may be read",
        ) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _read_file(path: Path) -> Table:
    extension = path.suffix.lower()
    if extension not in _FILE_READERS:
        raise DataError(
            f"cannot read files ending in {extension or 'no extension'}",
            where=str(path),
            expected=one_of(_FILE_READERS),
            fix=_CONVERSIONS.get(extension, "convert the file to one of these"),
        )
    return _FILE_READERS[extension](path)


def _read_directory(path: Path) -> dict[str, Table]:
    found = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    names = [name for name in found if Path(name).suffix.lower() in _FILE_READERS]
    if not any(split_of(name) == "train" for name in names):
        raise MissingInputError(
            f"folder has no train file; it holds {shorten(found)}",
            where=str(path),
            expected=f"train.* with {one_of(_FILE_READERS)}, and perhaps "
            "validation.* and test.*",
            fix="name the file with the rows to learn from train.csv, or name a file",
        )
    splits = pick_splits(names, str(path))
    return {split: _read_file(path / name) for split, name in splits.items()}


def _missing_path(given: Any, path: Path, option: str) -> MissingInputError:
    folder = path.parent
    fix = nearest(path.name, _names_in(folder))
    if not fix and not _exists(folder):
        fix = f"there is no folder {shorten(str(folder))} either: correct the path"
    return MissingInputError(
        f"{shorten(str(given))} is not there",
        where=option,
        expected='a file, a folder, or "tfds:NAME"',
        fix=fix or "correct the path",
    )


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        return []
