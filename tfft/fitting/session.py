"""Rows and a backbone loaded once, for as many trainings as one likes."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from tfft.fitting.defaults import with_defaults
from tfft.fitting.fit import Fit, Rows
from tfft.fitting.inputs import Inputs, read_inputs, rows_of
from tfft.fitting.loop import train
from tfft.fitting.messages import explained_failures
from tfft.fitting.network import Network, Plan, room_for
from tfft.fitting.optimize import check_rates, multipliers_of
from tfft.fitting.recorder import Recorder
from tfft.fitting.shared_states import SharedStates
from tfft.methods.method import METHODS, Method
from tfft.runs.predictor import Predictor
from tfft.tasks.task import TASKS, Task

# Options that decide which rows are read and how; a new value needs a new session.
INPUT_OPTIONS = (
    "model", "data", "task", "validation", "test", "on_bad_rows", "tokenizer",
    "backbone_dropout",
)  # fmt: skip
_MOST_NETWORKS = 6


class Session:
    """A backbone and encoded rows, on which any number of trainings run.

    Loading, encoding and tracing happen once. A training changes the values of
    adapter and head; the next one resets them to those of a new network. Another
    method gets a network of its own over the same backbone, and the session keeps the
    last few. Another learning rate, seed or number of epochs needs no new trace. The
    states of frozen layers are computed once for all trainings.

        session = Session(config, folder, say)
        one = session.fit(learning_rate=1e-3)            # all rows, as `finetune` does
        two = session.fit(seed=7, train=rows, validation=others)   # indices of rows
        two.metrics; two.best_epoch; two.history
        session.predictor(two).predictions(table)        # until the next training

    `fit` is `plan` and `train` in one call. Indices are those of the rows of
    `tables["train"]`. With indices for training but not for validation there is no
    validation, and the last epoch is kept.

    Args:
        config: The options of the trainings; `fit` can change them.
        folder: Where a backbone object is saved for the run, and frozen states when
            memory is short; None saves no backbone.
        say: Shows the user a sentence.
        replicas: Number of copies of the model that share a batch. Defaults to 1.
        largest: The largest values that the method's options will have. Trainings then
            share a network, where the method has one for all of them.
        once: Whether there will be a single training. The session then keeps no
            copies of first or trained values. Defaults to False.

    Raises:
        ConfigError: For options that do not fit each other, the data or the model.
        MissingInputError: For missing data or a missing model.
        DataError: For unusable data or model files.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        folder: Path | None,
        say: Callable[[str], None],
        *,
        replicas: int = 1,
        largest: Mapping[str, float] | None = None,
        once: bool = False,
    ) -> None:
        self.config, self.folder, self._say = config, folder, say
        self._replicas, self._largest, self._once = replicas, largest or {}, once
        self._said: set[str] = set()
        self._asked: Task = TASKS.resolve(config.task)
        self.inputs: Inputs = read_inputs(config, self._asked, folder, say)
        self._networks: dict[str, Network] = {}
        self._active: Network | None = None
        self._pristine: dict[int, np.ndarray] = {}
        splits = self.inputs.examples
        self._states = SharedStates(
            [splits[name] for name in ("train", "validation") if name in splits],
            folder,
            self._note,
            once=once,
        )

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
        """The metric that decides the best epoch, and whether higher is better."""
        return REPORTS.get(self.inputs.task.evaluation).monitor

    def fit(
        self,
        *,
        train: Sequence[int] | None = None,
        validation: Sequence[int] | Table | None = None,
        callbacks: Sequence[Any] = (),
        **changes: Any,
    ) -> Fit:
        """Trains once and scores the validation rows.

        Args:
            train: Indices of the training rows; None for all of them.
            validation: Indices of the validation rows, or other rows; see `rows_of`.
            callbacks: Keras callbacks besides those of the options. They see the
                validation metrics, with `val_` in front of their names.
            **changes: Options of `finetune` that replace the session's.

        Raises:
            ConfigError: For invalid options, or options that need other inputs.
            DivergedError: When the loss is no longer finite.
            OutOfMemoryError: When a step does not fit into memory.
        """
        plan = self.plan(train=train, validation=validation, **changes)
        return self.scored(self.train(plan, callbacks=callbacks))

    def plan(
        self,
        *,
        train: Sequence[int] | None = None,
        validation: Sequence[int] | Table | None = None,
        **changes: Any,
    ) -> Plan:
        """Returns a training that is ready for its first step.

        Args:
            train: Indices of the training rows; None for all of them.
            validation: Indices of the validation rows, or other rows; see `rows_of`.
            **changes: Options of `finetune` that replace the session's.

        Raises:
            ConfigError: For invalid options, or options that need other inputs.
        """
        from tfft.training.hardware import choose_precision

        config = self._config(changes)
        method: Method = METHODS.resolve(config.method)
        rows = rows_of(self.inputs, self._asked, train, validation)
        batches = training_batches(rows.examples, config, self._replicas)
        room = room_for(method, self._largest, config.optimizer)
        network = self._network(
            room or method, rows.task, config.seed, hosts=bool(room)
        )
        network.reset(config.seed, method)
        self._note(network.built.notes)
        network.look(method, rows.task.loss, batches)
        held = len(rows.validation) if rows.validation else 0
        config, notes = with_defaults(config, len(batches), held)
        self._note(notes)
        multipliers = multipliers_of(network.built, config.layer_decay)
        check_rates(config, network.built, multipliers)
        policy = choose_precision(config.precision)
        self._compute_in(policy)
        return Plan(config, method, rows, network, batches, policy, multipliers)

    def _note(self, notes: Sequence[str]) -> None:
        """Shows each note once, not for every training."""
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._say(f"note: {note}")

    def _config(self, changes: Mapping[str, Any]) -> FinetuneConfig:
        for name in (*INPUT_OPTIONS, "strategy"):
            if name in changes and changes[name] is not getattr(self.config, name):
                raise ConfigError(
                    f"{name} is the same for all trainings of a session",
                    where="Session.plan",
                    expected="options that only change the training",
                    fix=f"create a new session for another {name}",
                )
        return dataclasses.replace(self.config, **changes)

    def _network(
        self, method: Method, task: Task, seed: int, *, hosts: bool = False
    ) -> Network:
        """Returns the network of a method and a task, with its layers in place."""
        key = repr((method, task, hosts))
        network = self._networks.pop(key, None)
        if self._active not in (network, None):
            self._active.leave()
            self._active = None
        pretrained = self.inputs.pretrained
        set_compute_policy(pretrained.backbone, "float32")
        if network is None:
            made = (task, method, pretrained, self.labels, seed, self._pristine)
            network = Network(*made, hosts=hosts, once=self._once)
        elif self._active is not network:
            network.enter()
        self._active = self._networks[key] = network
        for oldest in list(self._networks)[:-_MOST_NETWORKS]:
            del self._networks[oldest]
            gc.collect()  # traces refer to themselves
        return network

    def train(
        self,
        plan: Plan,
        recorder: Recorder | None = None,
        callbacks: Sequence[Any] = (),
    ) -> Fit:
        """Trains, and lets the validation rows decide what the task leaves to them.

        The network is in float32 afterward, as all results are, so that the loaded
        run and the served model give the same.

        Args:
            plan: The training.
            recorder: Follows it. Defaults to one that keeps nothing; the validation of
                an only epoch is then computed in float32, and is the final one.
            callbacks: Keras callbacks besides those of the options.

        Raises:
            DivergedError: When the loss is no longer finite.
            OutOfMemoryError: When a step does not fit into memory.
        """
        config, rows, network = plan.config, plan.rows, plan.network
        final = recorder is None and config.epochs == 1 and not rows.task.tunes
        recorder = recorder or Recorder()

        with self._shortened(plan) as (trained, batches, forward):
            predictor = Predictor(network.built, rows.task, self.labels, forward)

            def validate() -> Report:
                scored = self._in_float32(network, rows.task) if final else predictor
                return scored.plain_report(rows.validation)

            model = network.trainer(plan, trained)
            limits = config.rows_per_step, rows.task.max_length
            with explained_failures(*limits, self.folder):
                ended = train(
                    model,
                    batches,
                    config,
                    monitor=self.monitor,
                    validate=validate if rows.validation else None,
                    recorder=recorder,
                    callbacks=[*callbacks, *config.callbacks],
                )
        predictor = self._in_float32(network, rows.task)
        recorder.trained(ended.best_epoch)
        task = self._tuned(predictor, rows)
        exact = (final or plan.policy == "float32") and not task.tunes
        return Fit(
            config,
            plan.method,
            rows,
            plan.policy,
            task,
            ended.best_epoch,
            ended.history,
            ended.report if exact else None,
            network.values(),
        )

    @contextlib.contextmanager
    def _shortened(self, plan: Plan) -> Iterator[tuple[Any, Batches, Any]]:
        """Yields what to train, on what, and the forward pass that validates.

        A session of a single training forgets the states afterward, however it ended.
        """
        try:
            yield self._states.shorten(plan)
        finally:
            if self._once:
                self.close()

    def _tuned(self, predictor: Predictor, rows: Rows) -> Task:
        """Returns the task with the values it learns from the validation rows."""
        if not (rows.validation and rows.task.tunes):
            return rows.task
        gold = rows.task.gold(rows.validation, self.labels)
        predictions = predictor.predictions(rows.validation)
        task, notes = rows.task.tuned(predictions, gold, self.labels)
        self._note(notes)
        return task

    def scored(self, fit: Fit) -> Fit:
        """Returns the result of a training with the report of its validation rows."""
        if fit.report is not None or not fit.rows.validation:
            return fit
        report = self.predictor(fit).plain_report(fit.rows.validation)
        return dataclasses.replace(fit, report=report)

    def predictor(self, fit: Fit) -> Predictor:
        """Returns the model of a training; it is valid until the next one.

        Args:
            fit: The result of the training.
        """
        if fit.values is None:
            return self._in_float32(self._active, fit.task)
        network = self._network(fit.method, fit.rows.task, fit.config.seed)
        network.assign(fit.values)
        return self._in_float32(network, fit.task)

    def plan_of(self, fit: Fit) -> Plan:
        """Returns the training that ended with a result; the network has its values.

        Args:
            fit: The result, of a session of several trainings.
        """
        self.predictor(fit)
        network, config = self._active, fit.config
        batches = training_batches(fit.rows.examples, config)
        multipliers = multipliers_of(network.built, config.layer_decay)
        plan = (config, fit.method, fit.rows, network, batches, fit.policy, multipliers)
        return Plan(*plan)

    def _in_float32(self, network: Network, task: Task) -> Predictor:
        self._compute_in("float32")
        return Predictor(network.built, task, self.labels, network.forward("float32"))

    def _compute_in(self, policy: str) -> None:
        backbone = self.inputs.pretrained.backbone
        if compute_policy(backbone) != policy:
            set_compute_policy(backbone, policy)

    def close(self) -> None:
        """Forgets the states of frozen layers, in memory and on the disk."""
        self._states.clear()
