"""Trainings on parts of the same rows, one after another."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.adapters.method import METHODS
from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, OutputInUseError, nearest, one_of
from tfft.core.files import is_occupied, locked
from tfft.data.rows import without_bad_rows
from tfft.data.table import Table
from tfft.evaluation.evidence import Evidence
from tfft.evaluation.report import REPORTS
from tfft.evaluation.tables import ReportTable
from tfft.recipes.config import FinetuneConfig
from tfft.recipes.finetune import finetune
from tfft.recipes.record import plain_config
from tfft.recipes.run import Run
from tfft.tasks.task import TASKS, Task


@dataclasses.dataclass(frozen=True)
class Scored:
    """Rows with what a run says of them.

    Attributes:
        table: The rows that the run can take.
        rows: Their numbers in the table that was given.
        predictions: In the form of the task's report.
        evidence: What is known of each row.
    """

    table: Table
    rows: list[int]
    predictions: Any
    evidence: Evidence


class Series:
    """Several trainings of the same options but for some.

    Args:
        options: Those of `finetune`; `output_dir` is the folder of all.
        result: The file that says what came of it, by which the folder is known.
    """

    def __init__(self, options: Mapping[str, Any], result: str) -> None:
        check_environment()
        self.config = FinetuneConfig(**options)
        self.task: Task = TASKS.resolve(self.config.task)
        self.folder = Path(self.config.output_dir)
        self.result = self.folder / result
        quiet = not self.config.verbose
        self._console = Console(quiet=quiet, highlight=False)

    def say(self, text: str) -> None:
        """Shows the user a sentence."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, table: ReportTable) -> None:
        """Shows the user a table."""
        self._console.print(table.to_rich())

    def options(self) -> dict[str, Any]:
        """Returns the options as plain values."""
        method = METHODS.resolve(self.config.method)
        return plain_config(self.config, self.task, method)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Holds the folder of all trainings.

        Raises:
            OutputInUseError: When it holds something and neither `overwrite` nor
                `resume` is said, or holds something else.
        """
        given = self.config.overwrite or self.config.resume
        if self.folder.is_file() or (is_occupied(self.folder) and not given):
            raise OutputInUseError(
                "output_dir is not empty",
                where=str(self.folder),
                expected="a new or empty folder",
                fix="choose another output_dir, or say overwrite or resume",
            )
        with locked(self.folder):
            yield

    def train(self, name: str, tables: Mapping[str, Table], **changes: Any) -> Run:
        """Trains once and says what came of it.

        Args:
            name: The run folder, inside that of all.
            tables: The rows by split.
            **changes: Options that are others than those of all.
        """
        start = time.monotonic()
        given = {
            field.name: getattr(self.config, field.name)
            for field in dataclasses.fields(self.config)
        }
        run = finetune(
            **{
                **given,
                **changes,
                "data": dict(tables),
                "validation": 0,
                "test": 0,
                "output_dir": self.folder / name,
                "verbose": 0,
            }
        )
        shown = ", ".join(
            f"{metric} {value:.4f}" for metric, value in run.metrics["test"].items()
        )
        self.say(f"{name}: {shown} ({time.monotonic() - start:.0f} s)")
        return run

    def scored(self, run: Run, table: Table) -> Scored:
        """Returns what a run says of labelled rows.

        Args:
            run: A finished training.
            table: Rows that were checked.
        """
        tokenizer = run.built.pretrained.tokenizer
        bad = run.task.unsuited_rows(table, tokenizer)
        left_out = {one.row for one in bad}
        rows = [row for row in range(len(table)) if row not in left_out]
        table, _ = without_bad_rows(table, bad, self.config.on_bad_rows)
        predictions = run.predictions(table)
        gold = run.task.gold(table, run.labels)
        kind = REPORTS.get(run.task.evaluation)
        evidence = kind.evidence(predictions, gold, run.labels)
        return Scored(table, rows, predictions, evidence)


def check_metric(name: str, known: Mapping[str, Any]) -> None:
    """Raises for a metric that a report does not have.

    Raises:
        ConfigError: With those it has.
    """
    if name not in known:
        raise ConfigError(
            f"no metric {name!r}",
            expected=one_of(known),
            fix=nearest(name, known) or "choose one of them",
        )
