"""Averages the weights of several runs into a new run."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.config import plain_object
from tfft.core.errors import ConfigError
from tfft.methods.combine import Factors, combine
from tfft.methods.method import Method
from tfft.models.pretrained import load_pretrained
from tfft.runs.build import Built, build
from tfft.runs.folder import (
    BASE,
    begin,
    claimed,
    read_record,
    read_trained_rows,
    save_trained_rows,
    write_record,
)
from tfft.runs.load import load
from tfft.runs.members import MemberRuns
from tfft.runs.run import Run
from tfft.runs.stored_model import own_variables, save_weights


def make_soup(runs: MemberRuns, folder: Path, rank: int | None) -> Run:
    """Writes a run with the mean of the members' weights (Wortsman et al., 2022).

    For LoRA the updates s·A·B are averaged, not A and B separately: trainings that
    start from different A find different bases, and mean(A)·mean(B) would mix the A of
    one member with the B of another. Concatenating the factors of all members gives
    the mean update exactly; once merged it costs nothing.

    Args:
        runs: The members.
        folder: The new run folder.
        rank: The rank to which SVD compresses the mean LoRA update. None keeps it
            exact.

    Raises:
        ConfigError: For a method whose weights cannot be averaged, and for members
            that store different weights.
        OutputInUseError: When the folder is not free.
        StorageError: When the disk refuses.
    """
    first = runs[0]
    method: Method = first.built.adapter.method
    if method.averaging is None:
        raise ConfigError(
            f"the weights of {method.name} with these options cannot be averaged",
            where="ensemble",
            expected="LoRA without DoRA, or a method that trains plain weights",
            fix='use how="average"',
        )
    with claimed(folder, overwrite=False, resume=False):
        updates: Mapping[str, Factors] = {}
        if method.averaging == "updates":
            updates = _mean_updates(runs, rank)
            method = method.for_updates(updates)
        elif rank is not None:
            raise ConfigError(
                f"rank={rank} for a soup of {method.name}",
                expected="LoRA adapters",
                fix="leave rank out",
            )
        built = _built(runs, method)
        _fill(built, _means(runs), updates)
        begin(folder, overwrite=False)
        _write(runs, folder, built)
    return load(folder, first.built.pretrained.source)


def _mean_updates(runs: MemberRuns, rank: int | None) -> dict[str, Factors]:
    """Returns the mean update of each place, as factors."""
    updates = []
    for index in range(len(runs)):
        updates.append(runs[index].built.adapter.updates())
    weights = [1 / len(runs)] * len(runs)
    how = "cat" if rank is None else "svd"
    return {
        place: combine([one[place] for one in updates], weights, how, rank)
        for place in updates[0]
    }


def _means(runs: MemberRuns) -> dict[str, np.ndarray]:
    """Returns the mean of each trained variable by path.

    Raises:
        ConfigError: For an untrained variable that differs between members, such as the
            positions of sparse weights.
    """
    means = {}
    for variable, *values in zip(runs.variables, *runs.values, strict=True):
        stacked = np.stack(values)
        if not variable.trainable and (stacked != stacked[0]).any():
            raise ConfigError(
                f"the members store different weights: {variable.path} differs",
                where="ensemble",
                expected="members that train the same weights",
                fix='use how="average"',
            )
        means[variable.path] = stacked.mean(axis=0, dtype="float64")
    return means


def _built(runs: MemberRuns, method: Method) -> Built:
    """Returns a network for the mean, with a backbone of its own."""
    first = runs[0]
    record = first.record
    source = first.built.pretrained.source or first.folder / BASE
    dropout, seed = (record["config"][name] for name in ("backbone_dropout", "seed"))
    pretrained = dataclasses.replace(
        load_pretrained(source, dropout=dropout),
        generation=first.built.pretrained.generation,
    )
    return build(runs.task, method, pretrained, first.labels, seed)


def _fill(
    built: Built, means: Mapping[str, np.ndarray], updates: Mapping[str, Factors]
) -> None:
    """Assigns the means to a network: of updates for LoRA, of weights otherwise.

    Raises:
        ConfigError: When LoRA members also trained weights of the base model.
    """
    adapter = built.adapter
    factors = set()
    for one in adapter.injected if updates else ():
        update = updates[one.place.name]
        one.layer.lora_a.assign(np.asarray(update.a, "float32"))
        one.layer.lora_b.assign(np.asarray(update.b, "float32"))
        factors.update(v.path for v in one.layer.saved_variables.values())
    own = {one.path: one for one in own_variables(built.network, adapter)}
    kept = {path for path in means if not _is_factor(path, factors)}
    if kept != own.keys() - factors:
        raise ConfigError(
            "the members also trained weights of the base model",
            where="ensemble",
            expected="bias=none and no modules_to_save",
            fix='use how="average"',
        )
    for path in kept:
        own[path].assign(means[path])


def _is_factor(path: str, factors: set[str]) -> bool:
    """Returns whether a path belongs to a LoRA layer of `factors`.

    Compares layers only: their weights' names depend on the initialization.
    """
    return path.rpartition("/")[0] in {one.rpartition("/")[0] for one in factors}


def _write(runs: MemberRuns, folder: Path, built: Built) -> None:
    record = read_record(runs.folders[0])
    task_type = runs.task.peft_task_type
    if built.pretrained.source is None or not record["model"]["source"]:
        shutil.copytree(runs.folders[0] / BASE, folder / BASE)
    save_weights(folder, built.network, built.adapter, built.pretrained, task_type)
    trained = [read_trained_rows(one) for one in runs.folders]
    save_trained_rows(folder, np.concatenate(trained))
    plain: dict[str, Any] = plain_object(built.adapter.method)
    write_record(
        folder,
        {
            **{name: value for name, value in record.items() if name != "format"},
            "status": "complete",
            "method": plain,
            "task": plain_object(runs.task),
            "metrics": {},
            "soup": [str(one) for one in runs.folders],
        },
    )
