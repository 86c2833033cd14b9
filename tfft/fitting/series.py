"""Several trainings on the same rows over one backbone, in one folder."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, OutputInUseError, nearest, one_of
from tfft.core.files import is_occupied, locked
from tfft.data.rows import without_bad_rows
from tfft.data.table import Table
from tfft.evaluation.evidence import Evidence
from tfft.evaluation.report import REPORTS
from tfft.evaluation.tables import ReportTable
from tfft.fitting.auto import without_auto
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.config_checks import check_several
from tfft.fitting.finish import RunRecorder, options_of
from tfft.fitting.record import plain_config
from tfft.fitting.session import Session
from tfft.methods.method import METHODS
from tfft.runs.folder import NEW_BASE, RECORD, claimed
from tfft.runs.run import Run
from tfft.tasks.task import TASKS, Task


@dataclass(frozen=True)
class Scored:
    """Rows with the predictions of a run.

    Attributes:
        table: The rows that the run can take.
        rows: Their indices in the table that was given.
        predictions: The predictions in the form of the task's report.
        evidence: The evidence of each row.
    """

    table: Table
    rows: list[int]
    predictions: Any
    evidence: Evidence


class Series:
    """Several trainings that differ in a few options.

    Args:
        options: The options of `finetune`; `output_dir` is the folder for all of them.
        result: The name of the file with the result.
        noun: The name of each run folder, followed by a number.

    Raises:
        ConfigError: For invalid options.
    """

    session: Session

    def __init__(self, options: Mapping[str, Any], result: str, noun: str) -> None:
        check_environment()
        options, reason = without_auto(options)
        self.config = FinetuneConfig(**options)
        check_several(self.config, with_folders=True)
        if self.config.resume:
            raise ConfigError(
                "resume=True for several trainings",
                fix="leave resume out; use overwrite to start over",
            )
        self.task: Task = TASKS.resolve(self.config.task)
        self.folder = Path(self.config.output_dir)
        self.result, self.noun = self.folder / result, noun
        self._started = False
        self._console = Console(quiet=not self.config.verbose, highlight=False)
        if reason:
            self.say(f"auto: {reason}")

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
    def opened(self, **changes: Any) -> Iterator[None]:
        """Locks the folder, and loads what the trainings share.

        Args:
            **changes: Options to override in every training.

        Raises:
            OutputInUseError: When the folder is not free.
            TfftError: Any other error of the inputs of `finetune`.
        """
        if self.folder.is_file() or (
            is_occupied(self.folder) and not self.config.overwrite
        ):
            raise OutputInUseError(
                "output_dir is not empty",
                where=str(self.folder),
                expected="a new or empty folder",
                fix="choose another output_dir, or use overwrite",
            )
        with locked(self.folder):
            config = replace(self.config, **changes)
            try:
                self.session = Session(config, self.folder, self.say)
                try:
                    yield
                finally:
                    self.session.close()
            finally:
                shutil.rmtree(self.folder / NEW_BASE, ignore_errors=True)

    def make_room(self) -> None:
        """Removes an earlier series, now that this one has proved usable."""
        for record in self.folder.glob(f"{self.noun}-*/{RECORD}"):
            if record.parent.name.removeprefix(f"{self.noun}-").isdigit():
                shutil.rmtree(record.parent)
        self.result.unlink(missing_ok=True)

    def train(
        self,
        number: int,
        test: Table | None,
        train: Sequence[int] | None = None,
        validation: Sequence[int] | Table | None = None,
        **changes: Any,
    ) -> Run:
        """Trains once, writes the run and shows its scores.

        Args:
            number: The number of the run folder.
            test: The rows to score the run on.
            train: Indices of the training rows; None for all of them and the validation
                rows of the data.
            validation: Indices of rows, or other rows.
            **changes: Options to override in this training.
        """
        start, name = time.monotonic(), f"{self.noun}-{number}"
        plan = self.session.plan(train=train, validation=validation, **changes)
        folder = self.folder / name
        with claimed(folder, overwrite=False, resume=False):
            recorder = RunRecorder(
                self.session,
                plan,
                folder,
                options_of(plan, folder),
                test=test,
                checkpoints=False,
            )
            if not self._started:
                self.say(f"cost: {recorder.cost}")
            self._started = True
            recorder.begin()
            run, _ = recorder.finish(self.session.train(plan, recorder))
        scores = run.metrics.get("test") or run.metrics.get("validation", {})
        shown = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        self.say(f"{name}: {shown} ({time.monotonic() - start:.0f} s)")
        return run

    def scored(self, run: Run, table: Table) -> Scored:
        """Returns labeled rows with the predictions of a run.

        Args:
            run: The run trained last.
            table: Checked rows.
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
        ConfigError: With the metrics it has.
    """
    if name not in known:
        raise ConfigError(
            f"no metric {name!r}",
            expected=one_of(known),
            fix=nearest(name, known) or "choose one of them",
        )
