"""The results of trials, in files that every worker can read."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tfft.core.errors import DataError
from tfft.core.files import write_json
from tfft.evaluation.tables import ReportTable

Status = Literal["completed", "pruned", "failed", "lost"]
_FILE = "result.json"


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        name: Its number in KerasTuner.
        status: `completed`, `pruned` (stopped as hopeless), `failed` (with a message)
            or `lost` (with its worker).
        values: The values of the searched options, by full name.
        epochs: The planned number of epochs.
        score: The objective on the validation rows; None without one.
        best_epoch: The epoch with this score.
        metrics: All metrics of the validation rows at that epoch.
        history: The objective at the end of each epoch.
        seconds: Duration.
        memory: MiB in use by the process at the end.
        worker: The name of the worker.
        message: Why the trial failed.
    """

    name: str
    status: Status
    values: Mapping[str, Any]
    epochs: int = 0
    score: float | None = None
    best_epoch: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Sequence[float] = ()
    seconds: float = 0.0
    memory: float = 0.0
    worker: str = ""
    message: str = ""

    def save(self, folder: Path) -> None:
        """Writes the trial into its own folder inside the folder of all trials."""
        write_json(folder / self.name / _FILE, dataclasses.asdict(self))


def is_written(folder: Path, name: str) -> bool:
    """Returns whether the folder of all trials has the result of a trial."""
    return (folder / name / _FILE).is_file()


def read_trials(folder: Path) -> list[Trial]:
    """Reads all trials of a folder, in the order of their names.

    Raises:
        DataError: For a file that cannot be read.
    """
    found = []
    for path in sorted(folder.glob(f"*/{_FILE}")):
        try:
            found.append(Trial(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise DataError(
                f"a trial cannot be read: {error}",
                where=str(path),
                fix="remove the file; the table is then without its trial",
            ) from error
    return found


def ranked(trials: Sequence[Trial], higher_is_better: bool) -> list[Trial]:
    """Returns the trials with a score, the best one first; ties by name."""
    sign = -1.0 if higher_is_better else 1.0
    # Earlier versions wrote scores that are not finite.
    scored = [
        one for one in trials if one.score is not None and math.isfinite(one.score)
    ]
    return sorted(scored, key=lambda one: (sign * one.score, one.name))


def table_of(
    trials: Sequence[Trial], names: Sequence[str], objective: str, higher: bool
) -> ReportTable:
    """Returns the table of a search, the best trial first.

    Args:
        trials: All trials.
        names: The searched options.
        objective: The name of the objective.
        higher: Whether higher is better.
    """
    order = ranked(trials, higher)
    rest = [one for one in trials if one not in order]
    rows = tuple(
        (
            one.name,
            *(_cell(one.values.get(name)) for name in names),
            _cell(one.score),
            f"{one.best_epoch} of {one.epochs}" if one.score is not None else "",
            f"{one.seconds:.1f}",
            one.worker,
            one.status + (f": {one.message}" if one.message else ""),
        )
        for one in [*order, *rest]
    )
    header = ("trial", *names, objective, "best epoch", "seconds", "worker", "status")
    return ReportTable("Trials", header, rows)


def _cell(value: Any) -> str:
    """Returns a short text for a value.

    >>> _cell(0.00123456), _cell("lora"), _cell(None)
    ('0.001235', 'lora', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def best_so_far(history: Sequence[float], share: float, epochs: int, higher: bool):
    """Returns the best score within the first share of a training, or None.

    >>> best_so_far([0.5, 0.7, 0.6], share=0.5, epochs=4, higher=True)
    0.7
    """
    reached = history[: math.floor(share * epochs + 1e-9)]
    known = [value for value in reached if math.isfinite(value)]
    return (max(known) if higher else min(known)) if known else None
