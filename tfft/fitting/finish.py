"""A training as a run folder: begun before the first step, finished after the last."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.checkpoints.training_state import Checkpoints
from tfft.core.config import plain_object
from tfft.core.errors import DivergedError
from tfft.core.signals import uninterrupted
from tfft.data.fingerprint import fingerprint, row_fingerprints
from tfft.data.table import Table
from tfft.evaluation.report import Report
from tfft.fitting.cost import Cost, cost_of
from tfft.fitting.fit import Fit
from tfft.fitting.messages import interrupted
from tfft.fitting.network import Plan
from tfft.fitting.prepare import Prepared
from tfft.fitting.record import first_record, notes_of, plain_config
from tfft.fitting.recorder import FolderRecorder
from tfft.fitting.session import Session
from tfft.fitting.watchers import projectors
from tfft.runs.build import Built
from tfft.runs.folder import (
    BASE,
    NEW_BASE,
    begin,
    claimed,
    save_trained_rows,
    write_record,
)
from tfft.runs.report_files import write_reports
from tfft.runs.resume import check_same_inputs
from tfft.runs.run import Run
from tfft.runs.stored_model import save_weights


class RunRecorder(FolderRecorder):
    """Makes a run folder of a training.

    Create it before the training starts: that checks the options about the folder.
    Then call `begin`, train with it, and call `finish`.

    Args:
        session: The session of the training.
        plan: The training.
        folder: The run folder, held by the caller.
        asked: The options as `run.json` keeps them.
        test: The rows to test on. Defaults to the session's test rows.
        console: Where progress is shown; None hides it.
        checkpoints: Whether to write checkpoints.
        resume_from: The folder whose checkpoints are read on `resume`.

    Raises:
        ConfigError: For `projector` with rows that cannot be shown.
    """

    def __init__(
        self,
        session: Session,
        plan: Plan,
        folder: Path,
        asked: Mapping[str, Any],
        *,
        test: Table | None = None,
        console: Console | None = None,
        checkpoints: bool = True,
        resume_from: Path | None = None,
    ) -> None:
        self._session, self._plan = session, plan
        self.prepared = _prepared(session, plan, test)
        tables, built = self.prepared.tables, plan.network.built
        super().__init__(
            plan.config,
            folder,
            console=console,
            checkpoints=checkpoints,
            resume_from=resume_from,
            observers=projectors(plan.config, folder, plan.rows.task, built, tables),
        )
        half = plan.policy != "float32"
        self.cost: Cost = cost_of(built.network, plan.batches, plan.config, half)
        pretrained = session.inputs.pretrained
        first = first_record(plan.rows.task, plan.method, self.prepared, pretrained)
        self._record: dict[str, Any] = {
            **first,
            "cost": dataclasses.asdict(self.cost),
            "precision": plan.policy,
            "config": asked,
        }

    def check_same_inputs(self, folder: Path) -> None:
        """Raises when an interrupted run was started with other rows or weights.

        Raises:
            DataError: Naming which.
            ConfigError: When tfft or a package it builds on has another version.
        """
        check_same_inputs(folder, self._record)

    def begin(self, *, overwrite: bool = False) -> None:
        """Writes the facts known before training; may replace an earlier run."""
        folder, rows = self.folder, self._plan.rows
        begin(folder, overwrite=overwrite)
        kept = self._session.folder / NEW_BASE
        if kept.is_dir():  # this folder is one of several of the session
            shutil.copytree(kept, folder / BASE)
        write_record(folder, self._record)
        texts = rows.task.texts(rows.train)
        save_trained_rows(folder, row_fingerprints(texts))

    @contextlib.contextmanager
    def saved_on_failure(self) -> Iterator[None]:
        """Saves the weights when the training inside the block is stopped or diverges.

        Raises:
            InterruptedRunError: When a signal stopped it.
            DivergedError: When the loss is no longer finite.
        """
        try:
            yield
        except KeyboardInterrupt as signal:
            with uninterrupted(forget=True):
                self._save("interrupted")
            fix = "the run folder has the weights so far; use resume to continue"
            raise interrupted(signal, "training", self.folder, fix) from signal
        except DivergedError:
            self._save("diverged")
            raise

    def trained(self, best_epoch: int) -> None:
        """Saves the weights before any score is computed."""
        self._record["best_epoch"] = best_epoch
        self._save("trained")

    def finish(self, fit: Fit) -> tuple[Run, dict[str, Report]]:
        """Scores the training and completes the folder.

        Args:
            fit: The result of the training.

        Returns:
            The run, valid until the session's next training, and its reports by split.
        """
        predictor = self._session.predictor(fit)
        reports = {
            split: predictor.full_report(table)
            for split, table in self.prepared.tables.items()
            if split != "train"
        }
        self._record |= {
            "task": plain_object(fit.task),
            "metrics": {split: one.metrics for split, one in reports.items()},
            "notes": [*self._record["notes"], *notes_of(reports)],
            "status": "complete",
        }
        write_reports(self.folder, fit.task.name, reports, fit.best_epoch)
        write_record(self.folder, self._record)
        Checkpoints(self.folder).drop()
        return Run(self.folder, predictor), reports

    def _save(self, status: str) -> None:
        built: Built = self._plan.network.built
        save_weights(
            self.folder,
            built.network,
            built.adapter,
            built.pretrained,
            self._plan.rows.task.peft_task_type,
        )
        self._record["status"] = status
        write_record(self.folder, self._record)


def _prepared(session: Session, plan: Plan, test: Table | None) -> Prepared:
    """Returns the rows of one training of a session, as `run.json` lists them."""
    rows, whole = plan.rows, session.inputs.prepared
    test = session.tables.get("test") if test is None else test
    found = {"train": rows.train, "validation": rows.validation, "test": test}
    tables = {split: table for split, table in found.items() if table}
    marks = {
        split: whole.fingerprint[split]
        if table is whole.tables.get(split)
        else fingerprint(table)
        for split, table in tables.items()
    }
    return dataclasses.replace(whole, tables=tables, fingerprint=marks)


def save(session: Session, fit: Fit, folder: Path) -> Run:
    """Writes a training that no recorder followed into a run folder.

    Args:
        session: The session that trained.
        fit: The result of the training.
        folder: A new or empty folder.

    Returns:
        The run, valid until the session's next training; `load` reads it at any time.

    Raises:
        OutputInUseError: When the folder is not free.
        StorageError: When the disk refuses.
    """
    plan = session.plan_of(fit)
    with claimed(folder, overwrite=False, resume=False):
        recorder = RunRecorder(session, plan, folder, options_of(plan, folder))
        recorder.begin()
        recorder.trained(fit.best_epoch)
        return recorder.finish(fit)[0]


def options_of(plan: Plan, folder: Path) -> dict[str, Any]:
    """Returns the options of one training of several, as `run.json` keeps them.

    Args:
        plan: The training.
        folder: Its run folder.
    """
    config = dataclasses.replace(plan.config, output_dir=folder)
    return plain_config(config, plan.rows.task, plan.method)
