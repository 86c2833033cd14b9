"""The rows of a training, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.data.batching import Examples
from tfft.data.table import Table
from tfft.evaluation.report import Report
from tfft.fitting.config import FinetuneConfig
from tfft.methods.method import Method
from tfft.tasks.task import Task

Values = Sequence[np.ndarray]


@dataclass(frozen=True)
class Rows:
    """The rows of one training.

    Attributes:
        task: The task, with what it learned from the training rows.
        train: The training rows.
        validation: The validation rows; None without validation.
        examples: The training rows as ids.
    """

    task: Task
    train: Table
    validation: Table | None
    examples: Examples

    def describe(self, examples: Sequence[int]) -> str:
        """Returns where the rows of some examples stand in the data, the first five."""
        rows = self.examples.rows_of(examples)[:5]
        return ", ".join(self.train.where(row) for row in rows)


@dataclass(frozen=True)
class Fit:
    """The result of one training.

    Attributes:
        config: The options, with all defaults filled in.
        method: The method that was trained.
        rows: The rows it was trained and validated on.
        policy: The precision it was trained in.
        task: The task after training; validation rows may have set thresholds.
        best_epoch: The epoch whose weights were kept, counted from 1.
        history: The logs that callbacks saw at the end of each epoch.
        report: The report of the validation rows in float32; None without validation,
            or when `Session.train` did not need it.
        values: The trained values, for `Session.predictor`; None when the session
            serves this training alone and its network still holds them.
    """

    config: FinetuneConfig
    method: Method
    rows: Rows
    policy: str
    task: Task
    best_epoch: int
    history: tuple[Mapping[str, Any], ...]
    report: Report | None
    values: Values | None

    @property
    def metrics(self) -> dict[str, float]:
        """The scores of the validation rows; empty without a report."""
        return self.report.metrics if self.report else {}
