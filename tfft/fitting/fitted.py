"""What one of many trainings worked on, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfft.data.batching import Examples
from tfft.data.table import Table
from tfft.evaluation.report import Report
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.network import Values
from tfft.methods.method import Method
from tfft.tasks.task import Task


@dataclass(frozen=True)
class Rows:
    """The rows of one training.

    Attributes:
        task: With what the training rows decide.
        train: The training rows.
        validation: The validation rows; None for none.
        examples: The training rows as ids.
    """

    task: Task
    train: Table
    validation: Table | None
    examples: Examples


@dataclass(frozen=True)
class Fitted:
    """What one training came to.

    Attributes:
        config: Its options, defaults filled in.
        method: What was applied.
        rows: What it was trained and validated on.
        task: As it was after training; the validation rows may decide thresholds.
        best_epoch: The epoch whose weights were kept, counted from 1.
        history: What callbacks saw at the end of each epoch.
        report: Of the validation rows, in float32; None when there are none.
        values: What the training decided of the network, for `Shared.run`.
    """

    config: FinetuneConfig
    method: Method
    rows: Rows
    task: Task
    best_epoch: int
    history: tuple[Mapping[str, float], ...]
    report: Report | None
    values: Values

    @property
    def metrics(self) -> dict[str, float]:
        """The scores of the validation rows; none when there are none."""
        return self.report.metrics if self.report else {}
