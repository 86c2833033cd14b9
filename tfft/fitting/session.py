"""Many trainings over one loaded backbone and one set of encoded rows."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.compute.precision import compute_policy, set_compute_policy
from tfft.core.errors import ConfigError
from tfft.data.batching import Batches
from tfft.data.table import Table
from tfft.evaluation.report import REPORTS, Report
from tfft.fitting.batches import training_batches
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.config_checks import check_shared
from tfft.fitting.defaults import with_defaults
from tfft.fitting.fitted import Fitted, Rows
from tfft.fitting.inputs import Inputs, read_inputs
from tfft.fitting.look import look
from tfft.fitting.messages import told_failures
from tfft.fitting.network import Bench, room_for
from tfft.fitting.optimize import check_rates, multipliers_of
from tfft.methods.method import METHODS, Method
from tfft.runs.predictor import Predictor
from tfft.runs.run import Run
from tfft.tasks.task import TASKS, Task

# Options that decide what is read and encoded; another value is another `Shared`.
INPUT_OPTIONS = (
    "model", "data", "task", "validation", "test", "on_bad_rows", "tokenizer",
    "backbone_dropout",
)  # fmt: skip
_MOST_BENCHES = 6


class Shared:
    """A backbone and rows that many trainings share; each ends as `finetune` would.

    Loading, encoding and tracing are done once. A training changes the values of
    adapter and head, which the next one resets to those of a new network; a method of
    other options gets a network of its own over the same backbone, and the last few
    of them are kept. Another learning rate, another number of epochs and another seed
    need no new trace.

        shared = Shared(config, folder, say)
        one = shared.fit(learning_rate=1e-3)              # all rows, as finetune
        two = shared.fit(seed=7, train=rows, validation=others)   # indices of rows
        two.metrics; two.best_epoch; two.history
        shared.run(two).predictions(table)                # until the next `fit`

    Indices are those of the rows of `tables["train"]`. With indices for training but
    none for validation there is no validation, and the last epoch is kept.

    Args:
        config: The options of the trainings; `fit` may say others.
        folder: Where a model that came as an object is kept for saved runs.
        say: Shows the user a sentence.
        largest: The largest values of the method's options that trainings will have;
            they share a network where the method has one for all of them.

    Raises:
        ConfigError: For options that do not suit each other, the data or the model.
        MissingInputError: For data or a model that is not there.
        DataError: For data or model files that cannot be used.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        folder: Path,
        say: Callable[[str], None],
        largest: Mapping[str, float] | None = None,
    ) -> None:
        self.config, self.folder, self._largest = config, folder, largest or {}
        self._say, self._said = say, set()
        self._asked: Task = TASKS.resolve(config.task)
        self.inputs: Inputs = read_inputs(config, self._asked, folder, say)
        self._benches: dict[str, Bench] = {}
        self._at_work: Bench | None = None
        self._pristine: dict[int, np.ndarray] = {}

    @property
    def tables(self) -> dict[str, Table]:
        """The rows by split."""
        return self.inputs.prepared.tables

    @property
    def labels(self) -> tuple[Any, ...]:
        """The labels by id."""
        return self.inputs.prepared.labels

    @property
    def monitor(self) -> tuple[str, bool]:
        """The metric that decides which epoch is kept, and whether more is better."""
        return REPORTS.get(self.inputs.task.evaluation).monitor

    def rows(
        self,
        train: Sequence[int] | None = None,
        validation: Sequence[int] | Table | None = None,
    ) -> Rows:
        """Returns the rows of a training.

        Args:
            train: Indices of rows; None for all of them.
            validation: Indices of rows, or other rows; None for the split of the
                data, or none beside indices for training.
        """
        table, task = self.tables["train"], self.inputs.task
        held = self.tables.get("validation") if train is None else None
        if isinstance(validation, Table):
            held = validation
        elif validation is not None:
            held = table.select(validation)
        examples = self.inputs.examples["train"]
        if train is None:
            return Rows(task, table, held, examples)
        part = table.select(train)
        suited, _ = self._asked.suited_to(self.inputs.pretrained)
        task, _ = suited.learned_from(part, self.labels)
        if len(examples) == len(table) and not examples.sources:
            return Rows(task, part, held, examples.select(np.asarray(train)))
        tokenizer = self.inputs.pretrained.tokenizer  # rows packed, or cut in several
        encoded = task.encode(part, tokenizer, self.labels)
        return Rows(task, part, held, encoded.examples)

    def fit(
        self,
        *,
        train: Sequence[int] | None = None,
        validation: Sequence[int] | Table | None = None,
        callbacks: Sequence[Any] = (),
        **changes: Any,
    ) -> Fitted:
        """Trains once.

        Args:
            train: Indices of the training rows; None for all of them.
            validation: Indices of the validation rows, or other rows; see `rows`.
            callbacks: Keras callbacks beside those of the options; they see
                validation's metrics, `val_` before their names, at the end of each
                epoch.
            **changes: Options of `finetune` in the place of the shared ones.

        Raises:
            ConfigError: For options that cannot be meant, or that need other inputs.
            DivergedError: When the loss is no longer finite.
            OutOfMemoryError: When a step does not fit into memory.
        """
        config = self._config(changes)
        method: Method = METHODS.resolve(config.method)
        rows = self.rows(train, validation)
        batches = training_batches(rows.examples, config)
        room = room_for(method, self._largest, config.optimizer)
        bench = self._bench(room or method, rows.task, config.seed, hosts=bool(room))
        bench.reset(config.seed, method)
        look(method, bench.built, rows.task.loss, batches)
        held = len(rows.validation) if rows.validation else 0
        config, notes = with_defaults(config, len(batches), held)
        self._note(notes)
        multipliers = multipliers_of(bench.built, config.layer_decay)
        check_rates(config, bench.built, multipliers)
        trained = self._train(bench, rows, config, batches, multipliers, callbacks)
        return self._scored(bench, method, rows, config, *trained)

    def _note(self, notes: Sequence[str]) -> None:
        """Shows each note once, not for every training."""
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._say(f"note: {note}")

    def _config(self, changes: Mapping[str, Any]) -> FinetuneConfig:
        config = dataclasses.replace(self.config, **changes)
        for name in INPUT_OPTIONS:
            if getattr(config, name) is not getattr(self.config, name):
                raise ConfigError(
                    f"{name} decides what trainings share",
                    where="Shared.fit",
                    expected="options of the training alone",
                    fix=f"share anew for another {name}",
                )
        check_shared(config)
        return config

    def _bench(
        self, method: Method, task: Task, seed: int, *, hosts: bool = False
    ) -> Bench:
        """Returns the network of a method and a task, its layers in their places."""
        key = repr((method, task, hosts))
        bench = self._benches.pop(key, None)
        if self._at_work not in (bench, None):
            self._at_work.leave()
            self._at_work = None
        pretrained = self.inputs.pretrained
        set_compute_policy(pretrained.backbone, "float32")
        if bench is None:
            made = (task, method, pretrained, self.labels, seed, self._pristine)
            bench = Bench(*made, hosts=hosts)
        elif self._at_work is not bench:
            bench.enter()
        self._at_work = self._benches[key] = bench
        for oldest in list(self._benches)[:-_MOST_BENCHES]:
            del self._benches[oldest]
            gc.collect()  # traces refer to themselves
        return bench

    def _train(
        self,
        bench: Bench,
        rows: Rows,
        config: FinetuneConfig,
        batches: Batches,
        multipliers: Mapping[str, float],
        callbacks: Sequence[Any],
    ) -> tuple[int, list[dict[str, float]], Report | None]:
        from tfft.fitting.short_loop import train
        from tfft.training.hardware import choose_precision

        policy = choose_precision(config.precision)
        self._compute_in(policy)
        predictor = bench.predictor(rows.task, policy)
        model = bench.trainer(
            config,
            policy,
            learning_rate=config.learning_rate or bench.method.learning_rate,
            steps=len(batches) * config.epochs,
            multipliers=multipliers,
            describe=lambda examples: ", ".join(
                rows.train.where(row) for row in rows.examples.rows_of(examples)[:5]
            ),
        )
        # An only epoch is not chosen among others: its score is the final one.
        final = config.epochs == 1 and not rows.task.tunes

        def validate() -> Report:
            scored = self._in_float32(bench, rows.task) if final else predictor
            return scored.plain_report(rows.validation)

        with told_failures(config.rows_per_step, rows.task.max_length, self.folder):
            scores = validate if rows.validation else None
            watching = [*callbacks, *config.callbacks]
            return train(model, batches, config, self.monitor, scores, watching)

    def _scored(
        self,
        bench: Bench,
        method: Method,
        rows: Rows,
        config: FinetuneConfig,
        best_epoch: int,
        history: Sequence[Mapping[str, float]],
        report: Report | None,
    ) -> Fitted:
        """Returns what a training came to, computed as `finetune` does at its end."""
        task = rows.task
        trained_in = compute_policy(self.inputs.pretrained.backbone)
        if rows.validation and (trained_in != "float32" or task.tunes):
            predictor = self._in_float32(bench, task)
            predictions = predictor.predictions(rows.validation)
            gold = task.gold(rows.validation, self.labels)
            report = REPORTS.get(task.evaluation).make(predictions, gold, self.labels)
            if task.tunes:
                task, _ = task.tuned(predictions, gold, self.labels)
                predictor = bench.predictor(task, "float32")
                report = predictor.plain_report(rows.validation)
        return Fitted(
            config,
            method,
            rows,
            task,
            best_epoch,
            tuple(history),
            report,
            bench.values(),
        )

    def run(self, fitted: Fitted, folder: Path | None = None) -> Run:
        """Returns a training's model; it is right until the next `fit` or `run`.

        Args:
            fitted: What the training came to.
            folder: The run folder, for what the run writes.
        """
        bench = self._bench(fitted.method, fitted.rows.task, fitted.config.seed)
        bench.assign(fitted.values)
        return Run(folder or self.folder, self._in_float32(bench, fitted.task))

    def _in_float32(self, bench: Bench, task: Task) -> Predictor:
        self._compute_in("float32")
        return bench.predictor(task, "float32")

    def _compute_in(self, policy: str) -> None:
        backbone = self.inputs.pretrained.backbone
        if compute_policy(backbone) != policy:
            set_compute_policy(backbone, policy)
