"""Where a training stands, so that it can go on after the last whole epoch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.tensors import assign, save_tensors
from tfft.core.files import new_directory, write_json
from tfft.models.weights import read_tensors

_FOLDER = "checkpoint"


@dataclass(frozen=True)
class TrainingState:
    """The variables that training changes, by name.

    Attributes:
        variables: Trainable variables, optimizer variables and the states of
            random generators: without the last, dropout would go on differently.
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

    def save(self, run: Path, epoch: int, extra: Mapping[str, np.ndarray]) -> None:
        """Replaces the checkpoint of a run folder by this state, or not at all."""
        with new_directory(run / _FOLDER) as folder:
            tensors = {name: np.array(value) for name, value in self.variables.items()}
            save_tensors(folder / "state.safetensors", tensors)
            save_tensors(folder / "extra.safetensors", extra)
            write_json(folder / "state.json", {"epoch": epoch})

    def restore(self, run: Path) -> tuple[int, dict[str, np.ndarray]]:
        """Puts the checkpoint's values into the variables.

        Returns:
            The epochs that had ended, and what was saved beside the state.

        Raises:
            DataError: When it is the checkpoint of another model.
        """
        folder = run / _FOLDER
        epoch = json.loads((folder / "state.json").read_text(encoding="utf-8"))["epoch"]
        extra = read_tensors(folder / "extra.safetensors")
        path = folder / "state.safetensors"
        assign(self.variables, read_tensors(path), str(path))
        return int(epoch), extra


def has_checkpoint(run: Path) -> bool:
    """Tells whether a run folder holds a checkpoint to go on from."""
    return (run / _FOLDER / "state.json").is_file()


def drop_checkpoint(run: Path) -> None:
    """Removes the checkpoint of a run that needs it no more."""
    shutil.rmtree(run / _FOLDER, ignore_errors=True)
