"""Runs of one base model: the base once in memory, what differs for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tfft.core.errors import ConfigError
from tfft.runs.folder import (
    BASE,
    load_weights,
    own_variables,
    read_record,
    recorded_task,
)
from tfft.runs.load import load
from tfft.runs.predictor import Predictor
from tfft.runs.run import Run
from tfft.tasks.joining import agreed
from tfft.tasks.task import Task


class MemberRuns:
    """Several runs in one network.

    Args:
        folders: Their run folders, two or more.
        model: Where the base model is now, when it has moved.

    Attributes:
        folders: The run folders.
        task: The task of all.
        variables: What differs from member to member.
        values: Their values, a list for each member.

    Raises:
        ConfigError: When they have other base models, tasks, labels or methods.
        MissingInputError: When one is missing.
        DataError: When one cannot be read.
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
        """What tells the members apart."""
        short = [folder.name for folder in self.folders]
        return short if len(set(short)) == len(short) else list(map(str, self.folders))

    def __len__(self) -> int:
        return len(self.folders)

    def __getitem__(self, index: int) -> Run:
        """Returns a member; it is that one until another is asked for."""
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
        ConfigError: Naming the first that differs, and in what.
    """
    checks = {"base model": _base, "labels": _labels, "method": _method}
    # Once: of a base that the run keeps, it reads all weights.
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
    """Returns a digest of the values of a base that the run keeps, else nothing.

    Not of the files: Keras writes into them how many layers of a kind the process had
    made before, and random states, which differ where the weights are the same.
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
