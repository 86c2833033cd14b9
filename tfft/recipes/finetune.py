"""Fine-tuning, from data to a run folder; read top to bottom."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.checkpoints.progress import Checkpoints
from tfft.compute.precision import compute_policy, set_compute_policy
from tfft.core.config import accepts, plain_object
from tfft.core.environment import check_environment
from tfft.core.errors import DivergedError
from tfft.core.signals import termination_as_exception, uninterrupted
from tfft.data.batching import Batches
from tfft.data.fingerprint import row_fingerprints
from tfft.evaluation.report import REPORTS, Report
from tfft.fitting.auto import settled
from tfft.fitting.batches import training_batches
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.cost import Cost, estimate
from tfft.fitting.defaults import with_defaults
from tfft.fitting.frozen import shortened
from tfft.fitting.inputs import read_inputs
from tfft.fitting.look import look
from tfft.fitting.loop import Loop
from tfft.fitting.messages import interrupted, told_failures
from tfft.fitting.optimize import describe_rate
from tfft.fitting.plan import plan_training
from tfft.fitting.prepare import Prepared
from tfft.fitting.record import (
    first_record,
    notes_of,
    plain_config,
)
from tfft.fitting.replicas import Replicas, on_replicas
from tfft.methods.method import METHODS, Method
from tfft.models.pretrained import Pretrained
from tfft.runs.build import Built, build
from tfft.runs.folder import (
    RECORD,
    begin,
    check_resumable,
    check_same_inputs,
    claimed,
    read_record,
    save_trained_rows,
    save_weights,
    write_record,
)
from tfft.runs.load import load
from tfft.runs.predictor import Predictor
from tfft.runs.run import Run
from tfft.tasks.task import TASKS, Task


@accepts(FinetuneConfig)
def finetune(**options: Any) -> Run:
    """Fine-tunes a model and returns the run.

    Args:
        **options: The fields of `FinetuneConfig`: `model`, `data` and `output_dir`
            at least.

    Returns:
        The run, with the best weights of the training.

    Raises:
        ConfigError: For options that cannot be meant; before any work.
        MissingInputError: For data or a model that is not there.
        DataError: For data or model files that cannot be used.
        OutputInUseError: When the run folder is not free.
        DivergedError: When the loss is no longer finite.
        InterruptedRunError: When a signal stopped it; the run folder can be loaded.
        OutOfMemoryError: When a step does not fit into memory.
        StorageError: When the disk refuses.
    """
    check_environment()
    options, reason = settled(options)
    config = FinetuneConfig(**options)
    task: Task = TASKS.resolve(config.task)
    method: Method = METHODS.resolve(config.method)
    output = Path(config.output_dir)
    with termination_as_exception(), on_replicas(config.strategy) as replicas:
        with replicas.folder(output) as folder:
            if replicas.chief:
                held = claimed(output, overwrite=config.overwrite, resume=config.resume)
            else:
                held = contextlib.nullcontext()
            with held:
                if config.resume and (output / RECORD).is_file():
                    check_resumable(output, plain_config(config, task, method))
                training = _Finetuning(config, task, method, folder, replicas)
                run = training.run(reason)
            replicas.wait()
        # Read anew, a model has plain variables again, and every process the result.
        return run if replicas.alone else load(output)


class _Finetuning:
    """One training; its steps in the order they happen."""

    def __init__(
        self,
        config: FinetuneConfig,
        task: Task,
        method: Method,
        folder: Path,
        replicas: Replicas,
    ) -> None:
        self.config, self.task, self.method, self.folder = config, task, method, folder
        self.replicas, self.output = replicas, Path(config.output_dir)
        quiet = not (config.verbose and replicas.chief)
        self.console = Console(quiet=quiet, highlight=False)
        self.record: dict[str, Any] = {}
        # As asked for: a resumed run is compared with it, and max_length may shrink.
        self.asked = plain_config(config, task, method)

    def run(self, reason: str) -> Run:
        if reason:
            self._say(f"auto: {reason}")
        inputs = read_inputs(self.config, self.task, self.folder, self._say)
        prepared, pretrained = inputs.prepared, inputs.pretrained
        examples, self.task = inputs.examples, inputs.task
        built = build(
            self.task, self.method, pretrained, prepared.labels, self.config.seed
        )
        for note in built.notes:
            self._say(f"note: {note}")
        batches = training_batches(examples["train"], self.config, self.replicas.count)
        look(self.method, built, self.task.loss, batches)
        self._fill_in(len(batches), len(prepared.tables.get("validation", ())))
        policy = self._set_precision(built)
        cost = estimate(
            built.network,
            pretrained.backbone,
            batches,
            self.config.epochs,
            policy != "float32",
            accumulation=self.config.accumulation,
        )
        self._say(f"cost: {cost}")
        self._describe(prepared, pretrained, policy, cost)
        if self._goes_on() and read_record(self.output)["status"] == "complete":
            self._say("the run is complete already")
            return load(self.output)
        plan = plan_training(
            self.config, self.folder, self.task, built, prepared.tables
        )
        begin(self.folder, overwrite=self.config.overwrite)
        write_record(self.folder, self.record)
        texts = self.task.texts(prepared.tables["train"])
        save_trained_rows(self.folder, row_fingerprints(texts))
        predictor = Predictor(built, self.task, prepared.labels)
        options = (self.folder, examples, batches, self.config, self._say)
        try:
            with shortened(predictor, *options) as (scorer, network, short):
                best_epoch = self._train(scorer, network, short, prepared, plan)
            run, reports = self._finish(built, prepared, best_epoch)
        except KeyboardInterrupt as signal:
            with uninterrupted(forget=True):
                self._save(built, "interrupted")
            raise interrupted(signal, self.folder) from signal
        except DivergedError:
            self._save(built, "diverged")
            raise
        self._show(reports)
        return run

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def _fill_in(self, steps_per_epoch: int, validation_rows: int) -> None:
        """Fills in the options that depend on the number of rows."""
        self.config, notes = with_defaults(
            self.config, steps_per_epoch, validation_rows
        )
        for note in notes:
            self._say(f"note: {note}")

    def _set_precision(self, built: Built) -> str:
        from tfft.training.hardware import choose_precision

        backbone = built.pretrained.backbone
        policy = choose_precision(self.config.precision)
        if compute_policy(backbone) != policy:
            set_compute_policy(backbone, policy)
        return policy

    def _describe(
        self, prepared: Prepared, pretrained: Pretrained, policy: str, cost: Cost
    ) -> None:
        from tfft.training.hardware import describe

        self._say(
            f"training: {self.method.name}, {describe_rate(self.config, self.method)}"
            f", {policy} on {describe()}"
        )
        self.record = {
            **first_record(self.task, self.method, prepared, pretrained),
            "cost": dataclasses.asdict(cost),
            "precision": policy,
            "config": self.asked,
        }
        if self._goes_on():
            check_same_inputs(self.output, self.record)

    def _goes_on(self) -> bool:
        return self.config.resume and (self.output / RECORD).is_file()

    def _learning_rate(self) -> float:
        return self.config.learning_rate or self.method.learning_rate

    def _train(
        self,
        scorer: Predictor,
        network: Any,
        batches: Batches,
        prepared: Prepared,
        plan: dict[str, Any],
    ) -> int:
        train = prepared.tables["train"]
        loop = Loop(
            network=network,
            objective=self.task.loss,
            batches=batches,
            config=self.config,
            learning_rate=self._learning_rate(),
            policy=compute_policy(scorer.built.pretrained.backbone),
            folder=self.folder,
            resume_from=self.output,
            console=self.console,
            monitor=REPORTS.get(self.task.evaluation).monitor,
            validate=(
                (lambda: scorer.plain_report(prepared.tables["validation"]))
                if "validation" in prepared.tables
                else None
            ),
            describe=lambda examples: ", ".join(
                train.where(row) for row in batches.examples.rows_of(examples)[:5]
            ),
            **plan,
        )
        rows, tokens = self.config.rows_per_step, self.task.max_length
        with told_failures(rows, tokens, self.output):
            return loop.run()

    def _finish(
        self, built: Built, prepared: Prepared, best_epoch: int
    ) -> tuple[Run, dict[str, Report]]:
        # Results are in float32 whatever training computed in, so that the loaded
        # run and the served model give the same.
        set_compute_policy(built.pretrained.backbone, "float32")
        self.record["best_epoch"] = best_epoch
        # Before the scores: whatever stops those, the training is not lost.
        self._save(built, "trained")
        predictor = Predictor(built, self.task, prepared.labels)
        run = Run(self.folder, self._tuned(predictor, prepared))
        reports = {
            split: run.predictor.full_report(table)
            for split, table in prepared.tables.items()
            if split != "train"
        }
        self.record["metrics"] = {split: one.metrics for split, one in reports.items()}
        self.record["notes"] += notes_of(reports)
        run.write_reports(reports, best_epoch)
        self.record["status"] = "complete"
        write_record(self.folder, self.record)
        Checkpoints(self.folder).drop()
        return run, reports

    def _tuned(self, predictor: Predictor, prepared: Prepared) -> Predictor:
        """Lets the validation rows decide what the task leaves to them."""
        table = prepared.tables.get("validation")
        if table is None or not self.task.tunes:
            return predictor
        gold = self.task.gold(table, prepared.labels)
        self.task, notes = self.task.tuned(
            predictor.predictions(table), gold, prepared.labels
        )
        for note in notes:
            self._say(f"note: {note}")
        self.record["task"] = plain_object(self.task)
        built, forward = predictor.built, predictor.forward
        return Predictor(built, self.task, prepared.labels, forward)

    def _show(self, reports: dict[str, Report]) -> None:
        for split, report in reports.items():
            self._say(f"\n{split}:")
            for table in report.tables():
                self.console.print(table.to_rich())
            for note in report.notes:
                self._say(f"note: {note}")
        self._say(f"run: {self.folder}")

    def _save(self, built: Built, status: str) -> None:
        save_weights(
            self.folder,
            built.network,
            built.adapter,
            built.pretrained,
            self.task.peft_task_type,
        )
        self.record["status"] = status
        write_record(self.folder, self.record)
