"""Reads files by their extension, and folders with one file for each split."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tfft.core.errors import (
    DataError,
    MissingInputError,
    nearest,
    one_of,
    shorten,
    shorten_path,
)
from tfft.data import tfds
from tfft.data.conll import read_conll
from tfft.data.parquet import read_parquet
from tfft.data.split_names import pick_splits, split_of_file
from tfft.data.squad import read_squad
from tfft.data.table import Table
from tfft.data.text_files import read_csv, read_jsonl

_FILE_READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": read_csv,
    ".tsv": partial(read_csv, delimiter="\t"),
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
    ".conll": read_conll,
    ".json": read_squad,
}
# Prefixes of a path, for formats that the extension does not identify.
_PREFIXES = {"conll:": read_conll, "squad:": read_squad}
_CONVERSIONS = {
    ".xls": "save the sheet as CSV in UTF-8",
    ".xlsx": "save the sheet as CSV in UTF-8",
    ".ods": "save the sheet as CSV in UTF-8",
    ".gz": "unpack it",
    ".zip": "unpack it",
}


def is_path(given: str | bytes) -> bool:
    """Returns whether a text names data (True) or is data (False).

    >>> is_path("rows.csv"), is_path("Version 1.2"), is_path("conll:names")
    (True, False, True)
    """
    if isinstance(given, bytes) or "\n" in given:
        return False
    return (
        given.startswith((*_PREFIXES, tfds.PREFIX))
        or Path(given).suffix.lower() in (*_FILE_READERS, *_CONVERSIONS)
        or (bool(given) and _exists(Path(given).expanduser()))
    )


def read_path(given: str | os.PathLike[str], option: str = "data") -> dict[str, Table]:
    """Reads a file by its extension, or a folder of splits.

    Args:
        given: The path; `~` is the home folder.
        option: The option's name in messages.

    Returns:
        Tables under "train" and, if the folder has them, "validation" and "test".

    Raises:
        MissingInputError: For a path that does not exist or cannot be read.
        DataError: For an unknown extension, and for unusable rows.
    """
    prefix = next((one for one in _PREFIXES if str(given).startswith(one)), "")
    path = Path(str(given)[len(prefix) :]).expanduser()
    read_file = _PREFIXES.get(prefix, _read_file)
    if not str(given) or not _exists(path):
        raise _missing_path(given, path, option)
    try:
        if not path.is_dir():
            return {"train": read_file(path)}
        if tfds.is_prepared_directory(path):
            return tfds.read_tfds_directory(path)
        return _read_directory(path, None if prefix == "" else read_file)
    except OSError as error:
        raise MissingInputError(
            f"cannot be read: {error.strerror or error}",
            where=str(error.filename or path),
            fix="check the permissions of the file and its folder",
        ) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # the name is too long or contains a NUL
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


def _read_directory(
    path: Path, read_file: Callable[[Path], Table] | None
) -> dict[str, Table]:
    """Reads one file for each split; a given reader reads files of any extension."""
    found = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    names = [
        name
        for name in found
        if read_file or Path(name).suffix.lower() in _FILE_READERS
    ]
    if not any(split_of_file(name) == "train" for name in names):
        raise MissingInputError(
            f"folder has no train file; it holds {shorten(found)}",
            where=str(path),
            expected=f"train.* with {one_of(_FILE_READERS)}, and optionally "
            "validation.* and test.*",
            fix="rename the file with the training rows to train.csv, or name a file",
        )
    splits = pick_splits(names, str(path), means=split_of_file)
    read = read_file or _read_file
    return {split: read(path / name) for split, name in splits.items()}


def _missing_path(given: Any, path: Path, option: str) -> MissingInputError:
    folder = path.parent
    fix = nearest(path.name, _names_in(folder))
    if not fix and not _exists(folder):
        fix = f"there is no folder {shorten_path(folder)} either: correct the path"
    return MissingInputError(
        f"{shorten_path(given)} is not there",
        where=option,
        expected='a file, a folder, or "tfds:NAME"',
        fix=fix or "correct the path",
    )


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        return []
