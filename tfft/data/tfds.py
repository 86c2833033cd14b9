"""Reads data sets of TensorFlow Datasets, by name or from a prepared folder."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError, MissingInputError, nearest, shorten
from tfft.data.objects import with_label_names
from tfft.data.split_names import pick_splits
from tfft.data.table import Table
from tfft.data.tf_dataset import read_tf_dataset

PREFIX = "tfds:"
_PREPARED_FILES = ("dataset_info.json", "features.json")


def is_prepared_directory(path: Path) -> bool:
    """Returns whether TensorFlow Datasets prepared a folder."""
    return all((path / name).is_file() for name in _PREPARED_FILES)


def read_tfds(spec: str) -> dict[str, Table]:
    """Reads a data set by name; downloads and prepares it if necessary.

    Args:
        spec: `tfds:NAME` or `tfds:NAME/CONFIG`.

    Returns:
        The splits train and, where they exist, validation and test.

    Raises:
        MissingInputError: For an unknown name, a failed download, or when the
            package is not installed.
        DataError: For a data set with unusable splits or rows.
    """
    builder = _named_builder(spec)
    if not builder.is_prepared():
        _prepare(builder, spec)
    return _read_splits(builder, spec)


def read_tfds_directory(path: Path) -> dict[str, Table]:
    """Reads a folder that TensorFlow Datasets has prepared.

    Args:
        path: The folder with `dataset_info.json`, usually named after a version.

    Returns:
        The splits train and, where they exist, validation and test.

    Raises:
        MissingInputError: When the package is not installed.
        DataError: For a damaged folder, and for unusable splits or rows.
    """
    try:
        builder = _package().builder_from_directory(str(path))
    except MissingInputError:
        raise
    except Exception as error:  # each file format raises its own class
        raise DataError(
            f"cannot be read as a prepared TFDS data set: {_first_line(error)}",
            where=str(path),
            fix="prepare the data set again",
        ) from error
    return _read_splits(builder, str(path))


def _package(*others: str) -> Any:
    try:
        for name in others:
            importlib.import_module(name)
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise MissingInputError(
            f"package {error.name} is not installed",
            where="TensorFlow Datasets",
            fix='pip install "tfft[data]"',
        ) from error


def _named_builder(spec: str) -> Any:
    package = _package("importlib_resources")  # TFDS looks names up with it
    name = spec.removeprefix(PREFIX)
    try:
        return package.builder(name)
    except Exception as error:  # the code of a data set can raise anything
        known = package.list_builders(with_community_datasets=False)
        raise MissingInputError(
            f"no TFDS data set {shorten(name)}: {_first_line(error)}",
            where=spec,
            expected="tfds:NAME or tfds:NAME/CONFIG",
            fix=_fix_name(re.split("[/:]", name)[0], known),
        ) from error


def _fix_name(name: str, known: list[str]) -> str:
    if name in known:
        return "choose a config and a version that exist"
    return nearest(name, known) or "see tfds.list_builders() for the names"


def _prepare(builder: Any, spec: str) -> None:
    try:
        builder.download_and_prepare()
    except Exception as error:  # networks and data sets can raise anything
        name = builder.info.full_name
        raise MissingInputError(
            f"TFDS data set {name} could not be downloaded: {_first_line(error)}",
            where=spec,
            fix=f'run tfds.builder("{builder.name}").download_and_prepare() on a '
            "machine with network, copy the folder here and give its path as data",
        ) from error


def _read_splits(builder: Any, source: str) -> dict[str, Table]:
    splits = pick_splits(list(builder.info.splits), source)
    return {
        split: _read_split(builder, name, f"{source}/{name}")
        for split, name in splits.items()
    }


def _read_split(builder: Any, name: str, source: str) -> Table:
    try:
        dataset = builder.as_dataset(split=name)
    except Exception as error:  # missing shards, unknown formats
        raise DataError(
            f"cannot be read: {_first_line(error)}",
            where=source,
            fix="prepare the data set again",
        ) from error
    return with_label_names(read_tf_dataset(dataset, source), builder.info.features)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
