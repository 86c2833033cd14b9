"""Several runs of one base model, with the base in memory once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tfft.core.errors import ConfigError
from tfft.runs.folder import BASE, read_record, recorded_task
from tfft.runs.load import load
from tfft.runs.predictor import Predictor
from tfft.runs.run import Run
from tfft.runs.stored_model import load_weights, own_variables
from tfft.tasks.joining import agreed
from tfft.tasks.task import Task


class MemberRuns:
    """Several runs that share one network.

    Args:
        folders: Two or more run folders.
        model: The base model's new place, if it has moved.

    Attributes:
        folders: The run folders.
        task: The task of all members.
        variables: The variables whose values differ between members.
        values: The values of these variables, a list for each member.

    Raises:
        ConfigError: When the base models, tasks, labels or methods differ.
        MissingInputError: When a run is missing.
        DataError: When a run cannot be read.
    """

    def __init__(self, folders: Sequence[str | Path], model: Any = None) -> None:
        self.folders = [Path(folder) for folder in folders]
        if len(self.folders) < 2:
            raise ConfigError(
                f"{len(self.folders)} members", where="ensemble", expected="2 or more"
            )
        records = [read_record(folder) for folder in self.folders]
        self.task = _check_alike(self.folders, records)
        self._first = load(self.folders[0], model)
        built = self._first.built
        self.variables = own_variables(built.network, built.adapter)
        self.values = []
        for folder in self.folders:
            load_weights(folder, built.network, built.adapter)
            self.values.append([np.array(variable) for variable in self.variables])

    @property
    def names(self) -> list[str]:
        """A distinct name for each member: its folder's name, or its whole path."""
        short = [folder.name for folder in self.folders]
        return short if len(set(short)) == len(short) else list(map(str, self.folders))

    def __len__(self) -> int:
        return len(self.folders)

    def __getitem__(self, index: int) -> Run:
        """Returns a member. It is valid until another member is requested."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        for variable, value in zip(self.variables, self.values[index], strict=True):
            variable.assign(value)
        first = self._first
        task = recorded_task(read_record(self.folders[index]))
        # All members share one trace: they differ in the values of variables alone.
        forward = first.predictor.forward
        predictor = Predictor(first.built, task, first.labels, forward=forward)
        return Run(self.folders[index], predictor)


def _check_alike(folders: Sequence[Path], records: Sequence[Mapping[str, Any]]) -> Task:
    """Returns the task of all members.

    Raises:
        ConfigError: Names the first member that differs, and what differs.
    """
    checks = {"base model": _base, "labels": _labels, "method": _method}
    # Computed once: for a base inside the run folder this reads all its weights.
    first = {noun: what(folders[0], records[0]) for noun, what in checks.items()}
    for folder, record in zip(folders[1:], records[1:], strict=True):
        for noun, what in checks.items():
            if what(folder, record) != first[noun]:
                raise ConfigError(
                    f"{folder} and {folders[0]} differ in their {noun}",
                    where="ensemble",
                    expected="members with the same base model, labels and method",
                    fix="leave one of them out",
                )
    tasks = [recorded_task(record) for record in records]
    return agreed(tasks)


def _base(folder: Path, record: Mapping[str, Any]) -> str:
    known = record["model"]["fingerprint"] or _stored_weights(folder)
    return known or record["model"]["source"]


def _stored_weights(folder: Path) -> str:
    """Returns a hash of the base weights inside a run folder, "" without them.

    The values are hashed, not the files: Keras also writes random states and counters
    of the process's layers into them, which differ even if the weights are equal.
    """
    files = sorted((folder / BASE).glob("*.weights.h5"))
    digest = hashlib.sha256()

    def add(path: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and "seed_generator" not in path:
            digest.update(f"{path} {node.dtype} {node.shape}\n".encode())
            digest.update(np.ascontiguousarray(node[()]).tobytes())

    for file in files:
        with h5py.File(file) as weights:
            weights.visititems(add)
    return digest.hexdigest() if files else ""


def _labels(folder: Path, record: Mapping[str, Any]) -> Any:
    return record["labels"]


def _method(folder: Path, record: Mapping[str, Any]) -> Any:
    return record["method"], record["config"]["backbone_dropout"]
