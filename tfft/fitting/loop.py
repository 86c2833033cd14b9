"""The training loop: `fit` with validation, the best weights, and a recorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.data.batching import Batches
from tfft.evaluation.report import Report
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.recorder import Recorder


@dataclass(frozen=True)
class Trained:
    """The result of a training loop.

    Attributes:
        best_epoch: The epoch whose weights the model now has, counted from 1.
        history: The logs of each epoch of this process.
        report: The validation report of the best epoch; None without validation, or
            when an earlier process trained that epoch.
    """

    best_epoch: int
    history: tuple[dict[str, Any], ...]
    report: Report | None


def train(
    model: Any,
    batches: Batches,
    config: FinetuneConfig,
    *,
    monitor: tuple[str, bool],
    validate: Callable[[], Report] | None,
    recorder: Recorder,
    callbacks: Sequence[Any] = (),
) -> Trained:
    """Trains a model; its variables end as those of the best epoch.

    Args:
        model: A compiled `TrainingModel`.
        batches: The training rows.
        config: The options, with epochs and early stopping filled in.
        monitor: The validation metric that decides which epoch is best, and whether
            higher is better.
        validate: Returns the report of the validation rows; None without validation:
            the last epoch is kept then.
        recorder: Follows the training, and may move it to where an earlier one
            stopped.
        callbacks: Keras callbacks. They see the validation metrics, with `val_` in
            front of their names, at the end of each epoch.
    """
    from tfft.training.averages import OnAverage
    from tfft.training.callbacks import KeepBest, Validate

    reports: list[Report] = []
    keep, validation = None, []
    if validate:

        def scores() -> dict[str, float]:
            reports.append(validate())
            return reports[-1].metrics

        metric, higher = monitor
        keep = KeepBest(f"val_{metric}", higher, config.early_stopping)
        validation = [Validate(scores), keep]
    recorder.start(model, keep, batches)
    first = model.position.epoch
    history: list[dict[str, Any]] = []
    try:
        model.fit(
            _dataset(model, batches),
            steps_per_epoch=len(batches),
            initial_epoch=first,
            epochs=first if keep and keep.has_stopped else config.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                *recorder.at_steps(),
                OnAverage([*validation, *recorder.observers()]),
                _remembering(history),
                *recorder.watchers(),
                *callbacks,
                *recorder.at_epochs(),
            ],
        )
    except KeyboardInterrupt:
        recorder.interrupted()
        raise
    finally:
        recorder.close()
    best = keep.best_epoch if keep else config.epochs
    ours = reports[best - 1 - first : best - first] if best > first else []
    return Trained(best, tuple(history), ours[0] if ours else None)


def _dataset(model: Any, batches: Batches) -> Any:
    """Returns the batches from the model's position on, for its replicas."""
    from tfft.training.distribution import distribute, replica_range

    strategy, position = model.distribute_strategy, model.position
    dataset = batches.dataset(
        position.epoch,
        position.step,
        shares=strategy.num_replicas_in_sync,
        mine=replica_range(strategy),
    )
    return distribute(strategy, dataset)


def _remembering(history: list[dict[str, Any]]) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: history.append(dict(logs or {}))
    )
