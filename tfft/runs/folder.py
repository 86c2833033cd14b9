"""The run folder: its files, and how they are written and read."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.errors import DataError, MissingInputError, OutputInUseError
from tfft.core.files import (
    is_occupied,
    locked,
    write_atomically,
    write_json,
)
from tfft.models.generation_config import NAME as GENERATION
from tfft.runs.report_files import LOGS, REPORT_FILES
from tfft.tasks.task import TASKS, Task

RECORD, METRICS = "run.json", "metrics.jsonl"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
ADAPTER, BASE, TABLE = "adapter", "base", "metrics.csv"
FROZEN = "frozen"
TRAINED_ROWS = "trained_rows.npy"
CHECKPOINTS = "checkpoints"
HEAD, BACKBONE = "head.safetensors", "backbone.safetensors"
# The base model is written under this name and renamed when the training begins. A
# crash may leave it behind.
NEW_BASE = ".tmp-base"
_FORMAT = 1


@contextlib.contextmanager
def claimed(folder: Path, *, overwrite: bool, resume: bool) -> Iterator[None]:
    """Locks a run folder for one training. Its content stays until `begin`.

    Args:
        folder: The run folder; made if needed.
        overwrite: Whether it may hold a run, which `begin` then removes.
        resume: Whether it may hold a run, which the training continues.

    Raises:
        OutputInUseError: When the folder is not empty and neither option is set, when
            its content is not a run, or when another process uses it.
    """
    if folder.is_file():
        raise OutputInUseError(
            "output_dir is a file", where=str(folder), fix="choose another output_dir"
        )
    if is_occupied(folder) and not (overwrite or resume):
        raise OutputInUseError(
            "output_dir is not empty",
            where=str(folder),
            expected="a new or empty folder",
            fix="choose another output_dir, or set overwrite or resume",
        )
    if is_occupied(folder) and not (folder / RECORD).is_file():
        raise OutputInUseError(
            "output_dir is not empty and not a run",
            where=str(folder),
            expected=f"a folder with {RECORD}",
            fix="choose another output_dir; tfft only removes its own files",
        )
    with locked(folder):
        try:
            yield
        finally:
            shutil.rmtree(folder / NEW_BASE, ignore_errors=True)


def begin(folder: Path, *, overwrite: bool) -> None:
    """Clears a folder for a new run, once options, data and model are valid.

    Args:
        folder: A folder that `claimed` holds.
        overwrite: Whether to remove the run that it holds.
    """
    if overwrite:
        _empty(folder)
    if (folder / NEW_BASE).is_dir():
        shutil.rmtree(folder / BASE, ignore_errors=True)
        (folder / NEW_BASE).rename(folder / BASE)


def _empty(folder: Path) -> None:
    """Removes the files of a run, and no others."""
    for name in (ADAPTER, BASE, LOGS, FROZEN, CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)
    files = (RECORD, METRICS, GENERATION, *TOKENIZER, HEAD, BACKBONE, *REPORT_FILES)
    for name in (*files, TABLE, TRAINED_ROWS):
        (folder / name).unlink(missing_ok=True)


def read_record(folder: Path) -> dict[str, Any]:
    """Returns the content of `run.json`.

    Raises:
        MissingInputError: When the folder holds no run.
        DataError: When the file cannot be read.
    """
    path = folder / RECORD
    if not path.is_file():
        raise MissingInputError(
            "no run in this folder" if folder.is_dir() else f"no such run: {folder}",
            where=str(path),
            fix="give the output_dir of a training",
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']}, this tfft reads {_FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a usable run.json: {error}", where=str(path)) from error
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Writes `run.json`."""
    write_json(folder / RECORD, {"format": _FORMAT, **record})


def recorded_task(record: Mapping[str, Any]) -> Task:
    """Returns the task of a run, with the options it was trained with."""
    return TASKS.resolve(completed_options(record["task"]))


def completed_options(task: Mapping[str, Any]) -> dict[str, Any]:
    """Returns recorded task options, with those that are newer than the run added."""
    return TASKS.get(task["name"]).as_recorded(task)


def save_trained_rows(folder: Path, fingerprints: np.ndarray) -> None:
    """Writes the fingerprints of the rows a run was trained on, without duplicates."""
    rows = np.unique(fingerprints)
    write_atomically(folder / TRAINED_ROWS, lambda path: np.save(path, rows))


def read_trained_rows(folder: Path) -> np.ndarray:
    """Returns the fingerprints of the rows a run was trained on.

    The array is empty for runs of earlier versions, which lack the file.

    Raises:
        DataError: When the file is damaged.
    """
    path = folder / TRAINED_ROWS
    if not path.is_file():
        return np.zeros(0, "uint64")
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(
            f"cannot be read: {error}", where=str(path), fix="remove the file"
        ) from error
