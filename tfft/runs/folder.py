"""The run folder: its files, and how they are written and read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.adapters import load_adapter_weights, save_adapter
from tfft.checkpoints.tensors import load_variables, save_tensors
from tfft.core.errors import ConfigError, DataError, MissingInputError, OutputInUseError
from tfft.core.files import (
    is_occupied,
    locked,
    storage_errors,
    write_atomically,
    write_json,
)
from tfft.methods.adapter import Adapter
from tfft.models.generation_config import NAME as GENERATION
from tfft.models.generation_config import (
    read_generation_config,
    write_generation_config,
)
from tfft.models.pretrained import Pretrained
from tfft.models.tokenizer_files import read_tokenizer
from tfft.runs.report_files import LOGS, REPORT_FILES
from tfft.tasks.task import TASKS, Task

RECORD, METRICS = "run.json", "metrics.jsonl"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
ADAPTER, BASE, TABLE = "adapter", "base", "metrics.csv"
FROZEN = "frozen"
TRAINED_ROWS = "trained_rows.npy"
CHECKPOINTS = "checkpoints"
_HEAD, _BACKBONE = "head.safetensors", "backbone.safetensors"
# The base model is written under this name and renamed when the training begins. A
# crash may leave it behind.
NEW_BASE = ".tmp-base"
_FORMAT = 1
# The options that may change when a run is resumed.
_FREE_TO_CHANGE = {
    "resume", "overwrite", "verbose", "output_dir", "compile_step",
    "save_every", "keep_last", "keep_best",
    "callbacks", "log_every", "profile", "projector",
}  # fmt: skip
# Packages whose version affects the numbers of a training step.
_DECIDING = ("tfft", "tensorflow", "keras", "keras-hub")


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
    files = (RECORD, METRICS, GENERATION, *TOKENIZER, _HEAD, _BACKBONE, *REPORT_FILES)
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


def check_resumable(folder: Path, config: dict[str, Any]) -> None:
    """Checks that a run was started with these options.

    Raises:
        ConfigError: Names each option that differs.
    """
    before = read_record(folder)["config"]
    before = {**before, "task": _completed(before["task"])}
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


def save_base(folder: Path, pretrained: Pretrained) -> None:
    """Writes a backbone that was passed as an object, before a method changes it."""
    with storage_errors(folder):
        pretrained.backbone.save_to_preset(str(folder / NEW_BASE))
    pretrained.tokenizer.save(folder / NEW_BASE)


def save_weights(
    folder: Path,
    network: Any,
    adapter: Adapter,
    pretrained: Pretrained,
    task_type: str,
) -> None:
    """Writes all that distinguishes a run from its base model, and the tokenizer.

    That is the adapter, the head, the changed backbone weights and, for a model that
    generates, where its texts end.

    Args:
        folder: The run folder.
        network: The network.
        adapter: Its adapter, not merged.
        pretrained: The backbone with its tokenizer.
        task_type: PEFT's name for the kind of task.
    """
    pretrained.tokenizer.save(folder)
    if pretrained.generation is not None:
        write_generation_config(folder, pretrained.tokenizer, pretrained.generation)
    save_tensors(folder / _HEAD, _named(network.head_variables))
    changed = adapter.changed_base_variables
    if changed:
        save_tensors(folder / _BACKBONE, _named(changed))
    if adapter.variables:
        save_adapter(
            adapter,
            folder / ADAPTER,
            base_model=pretrained.source or "",
            task_type=task_type,
            modules_to_save=network.head_modules,
        )


def recorded_task(record: Mapping[str, Any]) -> Task:
    """Returns the task of a run, with the options it was trained with."""
    return TASKS.resolve(_completed(record["task"]))


def _completed(task: Mapping[str, Any]) -> dict[str, Any]:
    return TASKS.get(task["name"]).as_recorded(task)


def with_own_tokenizer(folder: Path, pretrained: Pretrained) -> Pretrained:
    """Returns a base model with the tokenizer that a run was trained with.

    The base model's tokenizer files may have changed since, and so may the way tfft
    reads them.

    Raises:
        DataError: When the run's tokenizer files are damaged.
    """
    if not (folder / TOKENIZER[0]).is_file():
        return pretrained
    return dataclasses.replace(pretrained, tokenizer=read_tokenizer(folder))


def with_own_generation(folder: Path, pretrained: Pretrained, task: Task) -> Pretrained:
    """Returns a base model with a run's own settings for the ends of texts.

    Raises:
        DataError: When the run's generation config is damaged.
    """
    if not task.generates:
        return dataclasses.replace(pretrained, generation=None)
    tokenizer = pretrained.tokenizer
    if (folder / GENERATION).is_file():
        own = read_generation_config(folder, {}).known_to(tokenizer)
    else:  # older runs lack the file
        own = pretrained.generation.ending_at(task.taught_ends(tokenizer))
    return dataclasses.replace(pretrained, generation=own)


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


def own_variables(network: Any, adapter: Adapter) -> list[Any]:
    """Returns the variables that `save_weights` writes."""
    layers = [
        variable
        for one in adapter.injected
        for variable in one.layer.saved_variables.values()
    ]
    every = [*network.head_variables, *adapter.changed_base_variables, *layers]
    return list({id(variable): variable for variable in every}.values())


def load_weights(folder: Path, network: Any, adapter: Adapter) -> None:
    """Loads the weights that `save_weights` wrote into a network of the same build.

    Raises:
        MissingInputError: When a file is missing.
        DataError: When a file does not fit the network.
    """
    load_variables(folder / _HEAD, _named(network.head_variables))
    changed = adapter.changed_base_variables
    if changed:
        load_variables(folder / _BACKBONE, _named(changed))
    if adapter.variables:
        load_adapter_weights(adapter, folder / ADAPTER)


def _named(variables: list[Any]) -> dict[str, Any]:
    return {variable.path: variable for variable in variables}
