"""The folder of a search: which process writes, and whether a search can resume."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError, OutputInUseError
from tfft.core.files import is_occupied, locked, write_json
from tfft.fitting.config import FinetuneConfig
from tfft.runs.folder import LOGS
from tfft.runs.search_result import BEST, CONFIG, PICTURE, TABLE
from tfft.tuning.workers import Role, heartbeats_in

RECORD, ORACLE, TRIALS = "search.json", "oracle", "trials"
# Options that may change when a search resumes.
FREE = ("resume", "overwrite", "verbose", "output_dir")


@contextlib.contextmanager
def claimed_search(folder: Path, config: FinetuneConfig, me: Role) -> Iterator[None]:
    """Locks the folder of a search; workers share the lock of their chief.

    Raises:
        OutputInUseError: When the folder holds something else, or holds a search and
            neither resume nor overwrite is set.
    """
    if me == "worker":
        yield
        return
    if _is_taken(folder) and not (config.resume or config.overwrite):
        raise OutputInUseError(
            "output_dir is not empty",
            where=str(folder),
            expected="a new or empty folder",
            fix="choose another output_dir, or use overwrite or resume",
        )
    foreign = _is_taken(folder) and not (folder / RECORD).is_file()
    if foreign and not (folder / ORACLE).is_dir():
        raise OutputInUseError(
            "output_dir holds files that are not from a search",
            where=str(folder),
            expected=f"a folder with {RECORD}",
            fix="choose another output_dir",
        )
    with locked(folder):
        yield


def _is_taken(folder: Path) -> bool:
    """Returns whether a folder holds more than the signs of early workers."""
    if not is_occupied(folder):
        return False
    signs, found = folder / ORACLE, set(folder.rglob("*"))
    return not found <= {signs, *heartbeats_in(signs)} or not found


def begin_search(folder: Path, config: FinetuneConfig, asked: dict[str, Any]) -> None:
    """Prepares the folder for a new search, or checks that the old one can resume.

    Raises:
        ConfigError: When the old one was started with other options.
    """
    path = folder / RECORD
    if config.overwrite:
        for name in (ORACLE, TRIALS, LOGS, BEST):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (RECORD, TABLE, CONFIG, PICTURE):
            (folder / name).unlink(missing_ok=True)
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [
            f"{name} was {before.get(name)!r} and is {value!r}"
            for name, value in asked.items()
            if name not in FREE and before.get(name) != value
        ]
        if differing:
            raise ConfigError(
                f"this is another search: {'; '.join(differing)}",
                where=str(path),
                expected="the options of the interrupted search",
                fix="use the same options, or choose another output_dir",
            )
    write_json(path, asked)
