"""The base class of reports, and their registry."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfft.core.errors import ConfigError, nearest, one_of
from tfft.core.registry import Registry
from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence
from tfft.evaluation.metrics import Metric
from tfft.evaluation.tables import ReportTable

REPORTS = Registry("report", "tfft.evaluation")


class Report(abc.ABC):
    """The scores of some rows; a task names its report by the registered name."""

    name: ClassVar[str]
    #: Every metric of `metrics`, in the same order.
    described: ClassVar[tuple[Metric, ...]]
    #: The metric that decides which epoch is best, and whether higher is better.
    monitor: ClassVar[tuple[str, bool]]
    #: One sentence for each kind of row left out and each thing the scores hide.
    notes: tuple[str, ...]
    #: Intervals, slices, calibration, curves and errors, when asked for.
    details: Details | None

    @classmethod
    @abc.abstractmethod
    def make(cls, predictions: Any, gold: Any, labels: Sequence[Any]) -> Report:
        """Returns the report that compares predictions with the right answers.

        Args:
            predictions: The result of the task's `decode`.
            gold: The result of the task's `gold`.
            labels: The labels in the order of their ids.
        """

    @classmethod
    @abc.abstractmethod
    def evidence(cls, predictions: Any, gold: Any, labels: Sequence[Any]) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""

    @property
    @abc.abstractmethod
    def metrics(self) -> dict[str, float]:
        """The metrics by name."""

    @abc.abstractmethod
    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""

    @abc.abstractmethod
    def tables(self) -> list[ReportTable]:
        """Returns the tables of the scores."""

    def matrix(self) -> tuple[tuple[str, ...], np.ndarray] | None:
        """Returns the labels and the confusion matrix; None for other tasks."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Returns scores, notes and details as plain values for JSON."""
        values = {**self.scores(), "notes": list(self.notes)}
        return {**values, "details": self.details.to_dict()} if self.details else values

    def all_tables(self) -> list[ReportTable]:
        """Returns the tables of the scores and of the details."""
        return self.tables() + (self.details.tables() if self.details else [])

    def to_markdown(self) -> str:
        """Returns all tables in Markdown."""
        return "\n\n".join(table.to_markdown() for table in self.all_tables()) + "\n"

    def __str__(self) -> str:
        """Returns the Markdown."""
        return self.to_markdown()


def metric_named(name: str) -> Metric:
    """Returns the description of a metric, which every report gives one direction.

    Raises:
        ConfigError: When no report has this metric.

    >>> metric_named("ranking_loss").higher_is_better
    False
    """
    known = {
        metric.name: metric
        for report in map(REPORTS.get, REPORTS.names())
        for metric in report.described
    }
    if name not in known:
        raise ConfigError(
            f"no metric {name!r}",
            expected=one_of(known),
            fix=nearest(name, known) or "choose one of them",
        )
    return known[name]
