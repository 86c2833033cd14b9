"""Fine-tuning, from data to a run folder."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.core.config import accepts
from tfft.core.environment import check_environment
from tfft.core.signals import termination_as_exception
from tfft.evaluation.report import Report
from tfft.fitting.auto import without_auto
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.finish import RunRecorder
from tfft.fitting.network import Plan
from tfft.fitting.optimize import describe_rate
from tfft.fitting.record import plain_config
from tfft.fitting.replicas import Replicas, on_replicas
from tfft.fitting.session import Session
from tfft.methods.method import METHODS, Method
from tfft.runs.folder import RECORD, claimed, read_record
from tfft.runs.load import load
from tfft.runs.resume import check_resumable
from tfft.runs.run import Run
from tfft.tasks.task import TASKS, Task


@accepts(FinetuneConfig)
def finetune(**options: Any) -> Run:
    """Fine-tunes a model and returns the run.

    Args:
        **options: The fields of `FinetuneConfig`; at least `model`, `data` and
            `output_dir`.

    Returns:
        The run, with the weights of the best epoch.

    Raises:
        ConfigError: For invalid options, before any work.
        MissingInputError: For missing data or a missing model.
        DataError: For unusable data or model files.
        OutputInUseError: When the run folder is not free.
        DivergedError: When the loss is no longer finite.
        InterruptedRunError: When a signal stops it; the run folder can be loaded.
        OutOfMemoryError: When a step does not fit into memory.
        StorageError: When the disk refuses to read or write.
    """
    check_environment()
    options, reason = without_auto(options)
    config = FinetuneConfig(**options)
    task: Task = TASKS.resolve(config.task)
    method: Method = METHODS.resolve(config.method)
    asked = plain_config(config, task, method)
    output = Path(config.output_dir)
    with termination_as_exception(), on_replicas(config.strategy) as replicas:
        with replicas.folder(output) as folder:
            if replicas.chief:
                held = claimed(output, overwrite=config.overwrite, resume=config.resume)
            else:
                held = contextlib.nullcontext()
            with held:
                if _resumes(config, output):
                    check_resumable(output, asked)
                run = _run(config, asked, reason, folder, replicas)
            replicas.wait()
        # Reload in every process: the loaded model has ordinary, not mirrored,
        # variables.
        return run if replicas.alone else load(output)


def _resumes(config: FinetuneConfig, output: Path) -> bool:
    return config.resume and (output / RECORD).is_file()


def _run(
    config: FinetuneConfig,
    asked: Mapping[str, Any],
    reason: str,
    folder: Path,
    replicas: Replicas,
) -> Run:
    """Trains and returns the run.

    Args:
        config: The options.
        asked: The options as plain values, to compare with a resumed run.
        reason: Why `method="auto"` chose what it did, else empty.
        folder: The folder that this process writes to.
        replicas: The devices that train together.
    """
    output = Path(config.output_dir)
    console = Console(quiet=not (config.verbose and replicas.chief), highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if reason:
        say(f"auto: {reason}")
    session = Session(config, folder, say, replicas=replicas.count, once=True)
    plan = session.plan()
    recorder = RunRecorder(
        session, plan, folder, asked, console=console, resume_from=output
    )
    say(f"cost: {recorder.cost}")
    say(f"training: {_described(plan)}")
    if _resumes(config, output):
        recorder.check_same_inputs(output)
        if read_record(output)["status"] == "complete":
            say("the run is complete already")
            return load(output)
    recorder.begin(overwrite=config.overwrite)
    with recorder.saved_on_failure():
        run, reports = recorder.finish(session.train(plan, recorder))
    _show(reports, console)
    say(f"run: {folder}")
    return run


def _described(plan: Plan) -> str:
    from tfft.training.hardware import describe

    rate = describe_rate(plan.config, plan.method)
    return f"{plan.method.name}, {rate}, {plan.policy} on {describe()}"


def _show(reports: Mapping[str, Report], console: Console) -> None:
    for split, report in reports.items():
        console.print(f"\n{split}:", markup=False, soft_wrap=True)
        for table in report.tables():
            console.print(table.to_rich())
        for note in report.notes:
            console.print(f"note: {note}", markup=False, soft_wrap=True)
