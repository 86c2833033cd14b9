"""Checkpoints from which an interrupted training resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.tensors import assign, save_tensors
from tfft.core.errors import DataError, StorageError
from tfft.core.files import new_directory, sha256, write_json
from tfft.models.weights import read_tensors

_FOLDER = "checkpoints"
_STATE, _EXTRA, _FACTS = "state.safetensors", "extra.safetensors", "facts.json"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class TrainingState:
    """The variables that training changes, by name.

    Attributes:
        variables: Trainable variables, optimizer variables and the states of random
            generators. Without these states dropout would continue differently.
    """

    variables: Mapping[str, Any]

    @classmethod
    def of(cls, model: Any) -> TrainingState:
        """Returns the state of a compiled model."""
        groups = {
            "trainable": model.trainable_variables,
            "optimizer": model.optimizer.variables,
            "random": [v for v in model.variables if "seed_generator" in v.path],
        }
        return cls(
            {
                f"{group}.{index}": variable
                for group, variables in groups.items()
                for index, variable in enumerate(variables)
            }
        )

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return sum(value.nbytes for value in self.values().values())

    def values(self) -> dict[str, np.ndarray]:
        """Returns copies of the values, by name."""
        from keras import ops

        return {name: ops.convert_to_numpy(v) for name, v in self.variables.items()}


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        folder: Its folder.
        facts: Counters and other values that are not arrays.
    """

    folder: Path
    facts: dict[str, Any]

    @property
    def step(self) -> int:
        """The number of training steps before it."""
        return int(self.facts["step"])

    def restore(self, state: TrainingState) -> dict[str, np.ndarray]:
        """Assigns the values to the variables, all or none.

        Returns:
            The extra arrays that were saved with the state.

        Raises:
            DataError: When the checkpoint belongs to another model.
        """
        extra = read_tensors(self.folder / _EXTRA)
        path = self.folder / _STATE
        assign(state.variables, read_tensors(path), str(path))
        return extra


class Checkpoints:
    """The checkpoints of a run folder. New ones replace the oldest.

    Each is a folder that appears complete or not at all, with the SHA-256 of every
    file.

    Args:
        run: The run folder.
        keep_last: Number of the latest checkpoints to keep.
        keep_best: Number of the other checkpoints to keep, by score.
    """

    def __init__(self, run: Path, keep_last: int = 2, keep_best: int = 0) -> None:
        self._folder = run / _FOLDER
        self._keep_last, self._keep_best = keep_last, keep_best

    def check_space(self, state: TrainingState) -> None:
        """Checks that the disk has room for the checkpoints of a training.

        Raises:
            StorageError: Says how much is needed and how much is free.
        """
        # Twice the state, because the best weights may be saved too; one checkpoint
        # more, because the old ones stay while a new one is written.
        needed = 2 * state.size * (self._keep_last + self._keep_best + 1)
        free = shutil.disk_usage(self._folder.parent).free
        if free < needed:
            raise StorageError(
                f"checkpoints need up to {needed / 1e6:,.0f} MB, "
                f"{free / 1e6:,.0f} MB are free",
                where=str(self._folder),
                fix="free some space, or lower keep_last and keep_best",
            )

    def save(
        self,
        state: TrainingState,
        extra: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
    ) -> None:
        """Writes a checkpoint, then removes those beyond the limits.

        Args:
            state: The variables.
            extra: Further arrays.
            facts: Further values that JSON can hold: `step`, and optionally `score`,
                where higher is better.

        Raises:
            StorageError: When the disk refuses. The other checkpoints stay.
        """
        with new_directory(self._folder / f"step-{facts['step']:08d}") as folder:
            save_tensors(folder / _STATE, state.values())
            save_tensors(folder / _EXTRA, extra)
            write_json(folder / _FACTS, dict(facts))
            sums = {name: sha256(folder / name) for name in (_STATE, _EXTRA, _FACTS)}
            write_json(folder / _MANIFEST, sums)
        self._rotate()

    def latest(self) -> tuple[Checkpoint | None, list[str]]:
        """Returns the latest intact checkpoint, and a sentence on each damaged one.

        Raises:
            DataError: When there are checkpoints and all are damaged.
        """
        problems: list[str] = []
        for folder in self._all():
            problem = _damage(folder)
            if problem is None:
                return _read(folder), problems
            problems.append(f"checkpoint {folder.name} is damaged: {problem}")
        if problems:
            raise DataError(
                "; ".join(problems),
                where=str(self._folder),
                expected="an intact checkpoint",
                fix="start over with overwrite",
            )
        return None, []

    def drop(self) -> None:
        """Removes all checkpoints."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        """Returns the checkpoints, the latest step first. Clocks are not trusted."""
        if not self._folder.is_dir():
            return []
        named = [one for one in self._folder.iterdir() if one.name.startswith("step-")]
        return sorted(named, key=lambda one: one.name, reverse=True)

    def _rotate(self) -> None:
        kept = self._all()
        surplus = kept[self._keep_last :]
        # Reading a score hashes the files of its checkpoint first.
        scores = {one: _score(one) for one in surplus} if self._keep_best else {}
        scored = [one for one, score in scores.items() if score is not None]
        best = sorted(scored, key=lambda one: -scores[one])[: self._keep_best]
        for folder in surplus:
            if folder not in best:
                shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> Checkpoint:
    return Checkpoint(folder, json.loads((folder / _FACTS).read_text("utf-8")))


def _score(folder: Path) -> float | None:
    return None if _damage(folder) else _read(folder).facts.get("score")


def _damage(folder: Path) -> str | None:
    """Returns the fault of a checkpoint, or None."""
    try:
        sums = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        for name in (_STATE, _EXTRA, _FACTS):
            if sha256(folder / name) != sums[name]:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{_MANIFEST} cannot be read"
    return None
