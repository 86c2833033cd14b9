"""The training loop of many short trainings: it writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfft.data.batching import Batches
from tfft.evaluation.report import Report
from tfft.fitting.config import FinetuneConfig


def train(
    model: Any,
    batches: Batches,
    config: FinetuneConfig,
    monitor: tuple[str, bool],
    validate: Callable[[], Report] | None,
    callbacks: Sequence[Any],
) -> tuple[int, list[dict[str, float]], Report | None]:
    """Trains a model; its variables end as the best ones.

    Args:
        model: Compiled, at the first step.
        batches: The training rows.
        config: The options, epochs and early stopping filled in.
        monitor: The validation metric that decides which epoch was best, and
            whether more of it is better.
        validate: Returns the report of the validation rows; None when there are
            none: the last epoch's weights are kept then.
        callbacks: Further Keras callbacks.

    Returns:
        The epoch whose weights were kept, counted from 1, the logs of each epoch, and
        the report of the epoch that was kept.
    """
    from tfft.training.averages import OnAverage
    from tfft.training.callbacks import KeepBest, Validate

    metric, higher = monitor
    validation, keep = [], None
    reports: list[Report] = []
    if validate:

        def scores() -> dict[str, float]:
            reports.append(validate())
            return reports[-1].metrics

        keep = KeepBest(f"val_{metric}", higher, config.early_stopping)
        validation = [Validate(scores), keep]
    history: list[dict[str, float]] = []
    model.fit(
        batches.dataset(),
        steps_per_epoch=len(batches),
        epochs=config.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[OnAverage(validation), _remembering(history), *callbacks],
    )
    best_epoch = keep.best_epoch if keep else config.epochs
    return best_epoch, history, reports[best_epoch - 1] if keep else None


def _remembering(history: list[dict[str, float]]) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: history.append(dict(logs or {}))
    )
