"""Checks that a stopped training can be resumed with the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError, DataError
from tfft.runs.folder import RECORD, completed_options, read_record

# The options that may change when a run is resumed.
_FREE_TO_CHANGE = {
    "resume", "overwrite", "verbose", "output_dir", "compile_step",
    "save_every", "keep_last", "keep_best",
    "callbacks", "log_every", "profile", "projector",
}  # fmt: skip
# Packages whose version affects the numbers of a training step.
_DECIDING = ("tfft", "tensorflow", "keras", "keras-hub")


def check_resumable(folder: Path, config: dict[str, Any]) -> None:
    """Checks that a run was started with these options.

    Raises:
        ConfigError: Names each option that differs.
    """
    before = read_record(folder)["config"]
    before = {**before, "task": completed_options(before["task"])}
    differing = [
        f"{name} was {before.get(name)!r} and is {value!r}"
        for name, value in config.items()
        if name not in _FREE_TO_CHANGE and before.get(name) != value
    ]
    if differing:
        raise ConfigError(
            f"the run was started with other options: {'; '.join(differing)}",
            where=str(folder / RECORD),
            expected="the options of the interrupted run",
            fix="give the same options, or choose another output_dir",
        )


def check_same_inputs(folder: Path, record: dict[str, Any]) -> None:
    """Checks that rows, base weights and versions are those a run was started with.

    Raises:
        DataError: When rows or base weights differ.
        ConfigError: When tfft or one of its libraries has another version.
    """
    before = read_record(folder)
    for part, noun in (("data", "rows"), ("model", "weights of the base model")):
        if before[part]["fingerprint"] != record[part]["fingerprint"]:
            raise DataError(
                f"the {noun} are not those of the interrupted run",
                where=str(folder / RECORD),
                expected="the same data and model",
                fix="restore them, or choose another output_dir",
            )
    changed = [
        f"{name} was {before['versions'].get(name)} and is {record['versions'][name]}"
        for name in _DECIDING
        if before["versions"].get(name) != record["versions"][name]
    ]
    if changed:
        raise ConfigError(
            f"other versions would give other numbers: {'; '.join(changed)}",
            where=str(folder / RECORD),
            expected="the versions of the interrupted run",
            fix="install those versions, or choose another output_dir",
        )
