"""What every report is."""

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
    """The scores of some rows; subclasses register under the name tasks ask for."""

    name: ClassVar[str]
    #: Every metric of `metrics`, in the same order.
    described: ClassVar[tuple[Metric, ...]]
    #: The metric that decides which epoch is best, and whether higher is better.
    monitor: ClassVar[tuple[str, bool]]
    #: What was left out of the rows and what the scores hide, a sentence each.
    notes: tuple[str, ...]
    #: What stands behind the scores, where it was asked for.
    details: Details | None

    @classmethod
    @abc.abstractmethod
    def make(cls, predictions: Any, gold: Any, labels: Sequence[Any]) -> Report:
        """Returns the report of predictions against what is right.

        Args:
            predictions: What the task's `decode` returns.
            gold: What its `gold` returns.
            labels: The labels by id.
        """

    @classmethod
    @abc.abstractmethod
    def evidence(cls, predictions: Any, gold: Any, labels: Sequence[Any]) -> Evidence:
        """Returns what is known of each row, from what `make` takes."""

    @property
    @abc.abstractmethod
    def metrics(self) -> dict[str, float]:
        """The figures in one line."""

    @abc.abstractmethod
    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""

    @abc.abstractmethod
    def tables(self) -> list[ReportTable]:
        """Returns the tables of the scores."""

    def matrix(self) -> tuple[tuple[str, ...], np.ndarray] | None:
        """Returns labels and counts of who is taken for whom, where that is known."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values for JSON."""
        values = {**self.scores(), "notes": list(self.notes)}
        return {**values, "details": self.details.to_dict()} if self.details else values

    def all_tables(self) -> list[ReportTable]:
        """Returns the tables of the scores and of what stands behind them."""
        return self.tables() + (self.details.tables() if self.details else [])

    def to_markdown(self) -> str:
        """Returns all tables as Markdown."""
        return "\n\n".join(table.to_markdown() for table in self.all_tables()) + "\n"

    def __str__(self) -> str:
        """Returns the Markdown."""
        return self.to_markdown()


def metric_named(name: str) -> Metric:
    """Returns the description of a metric, which every report gives one direction.

    Raises:
        ConfigError: When no report has such a metric.

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
