"""The training loop of a recipe: `fit` with the callbacks a run folder needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.checkpoints.progress import TrainingState, has_checkpoint
from tfft.core.files import write_text
from tfft.data.batching import Batches
from tfft.evaluation.report import Report
from tfft.recipes.config import FinetuneConfig
from tfft.recipes.run_folder import LOGS, METRICS


def fit(
    network: Any,
    objective: Callable[[Any, Any], tuple[Any, Any]],
    batches: Batches,
    config: FinetuneConfig,
    *,
    learning_rate: float,
    folder: Path,
    console: Console,
    monitor: tuple[str, bool],
    validate: Callable[[], Report] | None,
) -> int:
    """Trains the trainable variables of a network; they end as the best ones.

    Args:
        network: The Keras model.
        objective: Maps outputs and batch to the sums of losses and weights.
        batches: The training rows.
        config: The options of the training.
        learning_rate: The peak.
        folder: The run folder, for checkpoints and logs.
        console: Where progress is shown.
        monitor: The validation metric that decides which epoch was best, and
            whether more of it is better.
        validate: Returns the report of the validation rows; None when there are
            none: the last epoch's weights are kept then.

    Returns:
        The epoch whose weights were kept, counted from 1.
    """
    from tfft.training.callbacks import KeepBest
    from tfft.training.hardware import choose_compilation
    from tfft.training.optimizer import adamw
    from tfft.training.progress import ShowProgress
    from tfft.training.step import TrainingModel

    model = TrainingModel(network, objective, clip_norm=config.clip_norm)
    optimizer = adamw(
        model.trainable_variables,
        learning_rate=learning_rate,
        steps=len(batches) * config.epochs,
        warmup=config.warmup,
        schedule=config.schedule,
        weight_decay=config.weight_decay,
    )
    model.compile(
        optimizer=optimizer, jit_compile=choose_compilation(config.compile_step)
    )
    state = TrainingState.of(model)
    keep = None
    if validate:
        keep = KeepBest(f"val_{monitor[0]}", monitor[1], config.early_stopping)
    first = 0
    if config.resume and has_checkpoint(folder):
        first, extra = state.restore(folder)
        if keep:
            keep.set_state(extra)
        console.print(f"resuming after epoch {first}", markup=False)
    if config.resume:
        _keep_lines(folder / METRICS, first)
    progress = ShowProgress(console, config.epochs, len(batches), batches.tokens()[0])
    try:
        model.fit(
            batches.dataset(first),
            steps_per_epoch=len(batches),
            initial_epoch=first,
            epochs=first if keep and keep.has_stopped else config.epochs,
            shuffle=False,
            verbose=0,
            callbacks=_callbacks(keep, progress, state, folder, validate),
        )
    finally:
        progress.close()
    return keep.best_epoch if keep else config.epochs


def _keep_lines(path: Path, count: int) -> None:
    """Drops the lines of epochs that a resumed training will do once more."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(path, "".join(lines[:count]))


def _callbacks(
    keep: Any,
    progress: Any,
    state: TrainingState,
    folder: Path,
    validate: Callable[[], Report] | None,
) -> list[Any]:
    """Returns the callbacks in the order in which they must see an epoch's end."""
    import keras

    from tfft.training.callbacks import (
        AtEpochEnd,
        MetricsFile,
        StopOnDivergence,
        Validate,
    )

    def checkpoint(epoch: int) -> None:
        state.save(folder, epoch, keep.state() if keep else {})

    validation = [Validate(lambda: validate().metrics), keep] if validate else []
    return [
        StopOnDivergence(),
        *validation,
        progress,
        MetricsFile(folder / METRICS, dict),
        keras.callbacks.TensorBoard(str(folder / LOGS), write_graph=False),
        AtEpochEnd(checkpoint),
    ]
