"""The content of `run.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.core.config import plain_object
from tfft.core.environment import versions
from tfft.evaluation.report import Report
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.prepare import Prepared
from tfft.methods.method import Method
from tfft.models.pretrained import Pretrained
from tfft.tasks.task import Task

# Options that may be a Keras object.
_KERAS = ("optimizer", "schedule")


def first_record(
    task: Task, method: Method, prepared: Prepared, pretrained: Pretrained
) -> dict[str, Any]:
    """Returns the content of `run.json` before training."""
    return {
        "status": "running",
        "task": plain_object(task),
        "method": plain_object(method),
        "labels": list(prepared.labels),
        "model": {
            "source": pretrained.source,
            "architecture": pretrained.architecture.name,
            "fingerprint": pretrained.fingerprint,
        },
        "data": {
            "rows": {split: len(table) for split, table in prepared.tables.items()},
            "fingerprint": prepared.fingerprint,
        },
        "notes": [*prepared.notes, *pretrained.notes],
        "versions": versions(),
        "metrics": {},
    }


def notes_of(reports: Mapping[str, Report]) -> list[str]:
    """Returns the notes of reports, each with its split."""
    return [f"{split}: {note}" for split, one in reports.items() for note in one.notes]


def plain_config(config: FinetuneConfig, task: Task, method: Method) -> dict[str, Any]:
    """Returns the options of a training as plain values; objects become their type.

    A data object is identified by the fingerprint of its rows, and a backbone object
    is saved in the run folder.
    """
    values = {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
    }
    lists = {
        name: [_plain(value) for value in getattr(config, name)]
        for name in ("no_decay", "profile", "callbacks")
    }
    optimizing = {name: _keras(getattr(config, name)) for name in _KERAS}
    nouns = {"task": plain_object(task), "method": plain_object(method)}
    return {**values, **lists, **optimizing, **nouns}


def _keras(value: Any) -> Any:
    """Returns a name, or the class and the configuration of a Keras object."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    try:
        config = {k: v for k, v in value.get_config().items() if k != "name"}
    except NotImplementedError:  # a user's class without get_config
        config = {}
    plain = json.loads(json.dumps(config, default=_plain))
    return {"class": type(value).__name__, **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, Path):
        return str(value)
    return f"<{type(value).__name__}>"
