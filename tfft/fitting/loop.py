"""The training loop of a recipe: `fit` with the callbacks a run folder needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.checkpoints.progress import Checkpoint, Checkpoints, TrainingState
from tfft.core.files import write_text
from tfft.core.signals import uninterrupted
from tfft.data.batching import Batches
from tfft.evaluation.report import Report
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.optimize import optimizer_of
from tfft.fitting.watch import watchers
from tfft.runs.folder import METRICS


@dataclass(frozen=True)
class Loop:
    """What a training loop works on.

    Attributes:
        network: The Keras model; its variables end as the best ones.
        objective: Maps outputs and batch to the sums of losses and weights.
        batches: The training rows.
        config: The options of the training.
        learning_rate: The peak.
        policy: In what numbers the network computes.
        folder: Where checkpoints and logs are written.
        resume_from: The folder whose checkpoints are read.
        console: Where progress is shown.
        monitor: The validation metric that decides which epoch was best, and
            whether more of it is better.
        validate: Returns the report of the validation rows; None when there are
            none: the last epoch's weights are kept then.
        describe: Returns what users know training rows by.
        multipliers: Factors of the learning rate by variable path.
        outputs: Paths of the head's variables.
        observers: Callbacks that look at the weights that validation sees.
    """

    network: Any
    objective: Callable[[Any, Any], tuple[Any, Any]]
    batches: Batches
    config: FinetuneConfig
    learning_rate: float
    policy: str
    folder: Path
    resume_from: Path
    console: Console
    monitor: tuple[str, bool]
    validate: Callable[[], Report] | None
    describe: Callable[[list[int]], str]
    multipliers: Mapping[str, float]
    outputs: Sequence[str]
    observers: Sequence[Any]

    def run(self) -> int:
        """Trains.

        Returns:
            The epoch whose weights were kept, counted from 1.
        """
        from tfft.training.callbacks import KeepBest
        from tfft.training.progress import ShowProgress

        model, config = self._model(), self.config
        keep = None
        if self.validate:
            metric, higher = self.monitor
            keep = KeepBest(f"val_{metric}", higher, config.early_stopping)
        saver = _Saver(self, model, keep)
        if config.resume:
            saver.restore()
        first = model.position.epoch
        progress = ShowProgress(
            self.console, config.epochs, len(self.batches), self.batches.tokens()[0]
        )
        try:
            model.fit(
                self._dataset(model),
                steps_per_epoch=len(self.batches),
                initial_epoch=first,
                epochs=first if keep and keep.has_stopped else config.epochs,
                shuffle=False,
                verbose=0,
                callbacks=self._callbacks(keep, progress, saver),
            )
        except KeyboardInterrupt:
            with uninterrupted(forget=True):
                saver.save()
            raise
        finally:
            progress.close()
        return keep.best_epoch if keep else config.epochs

    def _model(self) -> Any:
        """Returns the compiled model that trains the network."""
        from tfft.training.hardware import choose_compilation
        from tfft.training.loss_scale import LossScale
        from tfft.training.step import TrainingModel

        config = self.config
        model = TrainingModel(
            self.network,
            self.objective,
            clip_norm=config.clip_norm,
            accumulation=config.accumulation,
            adapt=config.batch_size == "auto",
            on_nan=config.on_nan,
            describe=self.describe,
            loss_scale=LossScale() if self.policy == "mixed_float16" else None,
        )
        optimizer = optimizer_of(
            config,
            model.trainable_variables,
            learning_rate=self.learning_rate,
            steps=len(self.batches) * config.epochs,
            multipliers=self.multipliers,
            outputs=self.outputs,
        )
        compiled = choose_compilation(config.compile_step)
        model.compile(optimizer=optimizer, jit_compile=compiled)
        return model

    def _dataset(self, model: Any) -> Any:
        """Returns the batches from the model's position on, for its replicas."""
        from tfft.training.distribution import distribute, replica_range

        strategy, position = model.distribute_strategy, model.position
        batches = self.batches.dataset(
            position.epoch,
            position.step,
            shares=strategy.num_replicas_in_sync,
            mine=replica_range(strategy),
        )
        return distribute(strategy, batches)

    def _callbacks(self, keep: Any, progress: Any, saver: _Saver) -> list[Any]:
        """Returns the callbacks in the order in which they must see an epoch's end."""
        from tfft.training.averages import OnAverage
        from tfft.training.callbacks import (
            AtEpochEnd,
            EverySteps,
            MetricsFile,
            Validate,
        )

        validation = []
        if self.validate:
            validation = [Validate(lambda: self.validate().metrics), keep]
        every = self.config.save_every
        return [
            *([EverySteps(every, saver.save)] if every else []),
            OnAverage([*validation, *self.observers]),
            progress,
            MetricsFile(self.folder / METRICS, dict),
            *watchers(self.config, self.folder, self.batches),
            AtEpochEnd(saver.end_epoch),
        ]


class _Saver:
    """Writes and reads the checkpoints of a loop."""

    def __init__(self, loop: Loop, model: Any, keep: Any) -> None:
        self._loop, self._model, self._keep = loop, model, keep
        self._state = TrainingState.of(model)
        config = loop.config
        self._checkpoints = Checkpoints(loop.folder, config.keep_last, config.keep_best)
        self._checkpoints.check_space(self._state)

    def save(self) -> None:
        """Writes where the training stands."""
        with uninterrupted():
            position = self._model.position
            keep = self._keep
            facts = {
                "step": position.epoch * len(self._loop.batches) + position.step,
                "position": position.to_dict(),
                "accumulation": self._model.accumulation,
                "score": keep.last_score if keep and position.step == 0 else None,
            }
            self._checkpoints.save(self._state, keep.state() if keep else {}, facts)

    def end_epoch(self, epochs: int) -> None:
        """Goes on to the next epoch, and writes that."""
        with uninterrupted():
            self._model.position.begin(epochs)
            self.save()

    def restore(self) -> None:
        """Goes on from the last good checkpoint, if there is one."""
        found, notes = Checkpoints(self._loop.resume_from).latest()
        for note in notes:
            self._say(f"note: {note}")
        if found:
            self._take(found)
        _keep_lines(self._loop.folder / METRICS, self._model.position.epoch)

    def _take(self, found: Checkpoint) -> None:
        from tfft.training.position import Position

        extra = found.restore(self._state)
        self._model.position = Position(**found.facts["position"])
        self._model.accumulation = found.facts["accumulation"]
        if self._keep:
            self._keep.set_state(extra)
        position = self._model.position
        self._say(f"resuming after epoch {position.epoch}, step {position.step}")

    def _say(self, text: str) -> None:
        self._loop.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _keep_lines(path: Path, count: int) -> None:
    """Drops the lines of epochs that a resumed training will do once more."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(path, "".join(lines[:count]))
