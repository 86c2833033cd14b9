"""The folder of a search: who writes there, and whether it is the same search."""

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
# What a search that goes on may say otherwise.
FREE = ("resume", "overwrite", "verbose", "output_dir")


@contextlib.contextmanager
def claimed_search(folder: Path, config: FinetuneConfig, me: Role) -> Iterator[None]:
    """Holds the folder of a search, but for workers, who share their chief's.

    Raises:
        OutputInUseError: When it holds something else, or neither resume nor
            overwrite is said.
    """
    if me == "worker":
        yield
        return
    if _is_taken(folder) and not (config.resume or config.overwrite):
        raise OutputInUseError(
            "output_dir is not empty",
            where=str(folder),
            expected="a new or empty folder",
            fix="choose another output_dir, or say overwrite or resume",
        )
    foreign = _is_taken(folder) and not (folder / RECORD).is_file()
    if foreign and not (folder / ORACLE).is_dir():
        raise OutputInUseError(
            "output_dir holds something that is no search",
            where=str(folder),
            expected=f"a folder with {RECORD}",
            fix="choose another output_dir",
        )
    with locked(folder):
        yield


def _is_taken(folder: Path) -> bool:
    """Tells whether a folder holds more than signs of workers that were quicker."""
    if not is_occupied(folder):
        return False
    signs, found = folder / ORACLE, set(folder.rglob("*"))
    return not found <= {signs, *heartbeats_in(signs)} or not found


def begin_search(folder: Path, config: FinetuneConfig, asked: dict[str, Any]) -> None:
    """Makes room for a search, or sees that the one to go on with is the same.

    Raises:
        ConfigError: When it was started with other options.
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
                fix="say them as before, or choose another output_dir",
            )
    write_json(path, asked)
