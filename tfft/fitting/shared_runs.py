"""A training of many as a run folder of its own."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from tfft.core.config import plain_object
from tfft.data.fingerprint import fingerprint, row_fingerprints
from tfft.data.table import Table
from tfft.fitting.batches import training_batches
from tfft.fitting.cost import estimate
from tfft.fitting.fitted import Fitted
from tfft.fitting.record import first_record, notes_of, plain_config
from tfft.fitting.session import Shared
from tfft.runs.folder import (
    BASE,
    NEW_BASE,
    begin,
    claimed,
    save_trained_rows,
    save_weights,
    write_record,
)
from tfft.runs.run import Run


def save_run(
    shared: Shared, fitted: Fitted, folder: Path, test: Table | None = None
) -> Run:
    """Writes what a training came to as `finetune` would have written it.

    Args:
        shared: What the training shared with others.
        fitted: What it came to.
        folder: A new or empty folder.
        test: The rows to test it on. Defaults to the shared test rows.

    Returns:
        The run, right until the next training; `load` reads it at any time.

    Raises:
        OutputInUseError: When the folder is not free.
        StorageError: When the disk refuses.
    """
    from tfft.training.hardware import choose_precision

    run = shared.run(fitted, folder)
    policy = choose_precision(fitted.config.precision)
    inputs, config = (
        shared.inputs,
        dataclasses.replace(fitted.config, output_dir=folder),
    )
    tables = {
        split: table
        for split, table in (
            ("train", fitted.rows.train),
            ("validation", fitted.rows.validation),
            ("test", shared.tables.get("test") if test is None else test),
        )
        if table
    }
    marks = {split: fingerprint(table) for split, table in tables.items()}
    prepared = dataclasses.replace(inputs.prepared, tables=tables, fingerprint=marks)
    with claimed(folder, overwrite=False, resume=False):
        begin(folder, overwrite=False)
        kept = shared.folder / NEW_BASE
        if kept.is_dir():
            shutil.copytree(kept, folder / BASE)
        reports = {
            split: run.predictor.full_report(table)
            for split, table in prepared.tables.items()
            if split != "train"
        }
        pretrained, task = inputs.pretrained, fitted.task
        first = first_record(task, fitted.method, prepared, pretrained)
        record = {
            **first,
            "task": plain_object(task),
            "config": plain_config(config, task, fitted.method),
            "cost": _cost(fitted, run, policy),
            "precision": policy,
            "best_epoch": fitted.best_epoch,
            "metrics": {split: one.metrics for split, one in reports.items()},
            "notes": [*first["notes"], *notes_of(reports)],
            "status": "complete",
        }
        save_weights(
            folder,
            run.built.network,
            run.built.adapter,
            pretrained,
            task.peft_task_type,
        )
        save_trained_rows(folder, row_fingerprints(task.texts(fitted.rows.train)))
        run.write_reports(reports, fitted.best_epoch)
        write_record(folder, record)
    return run


def _cost(fitted: Fitted, run: Run, policy: str) -> dict[str, Any]:
    config = fitted.config
    batches = training_batches(fitted.rows.examples, config)
    cost = estimate(
        run.built.network,
        run.built.pretrained.backbone,
        batches,
        config.epochs,
        policy != "float32",
        accumulation=config.accumulation,
    )
    return dataclasses.asdict(cost)
