"""Defaults of epochs and early stopping, which depend on the number of rows."""

from __future__ import annotations

from dataclasses import replace

from tfft.evaluation.few_rows import FEW
from tfft.fitting.config import FinetuneConfig

_EPOCHS, _MOST_EPOCHS, _STEPS = 3, 50, 100
_PATIENCE = 2


def with_defaults(
    config: FinetuneConfig, steps_per_epoch: int, validation_rows: int
) -> tuple[FinetuneConfig, list[str]]:
    """Returns the options with epochs and early stopping filled in, and notes.

    Three epochs of few rows are a handful of steps, too few to learn anything. And a
    score on few rows goes up and down by chance: it must not stop a training.

    Args:
        config: The options.
        steps_per_epoch: Batches of the training rows.
        validation_rows: Number of validation rows.
    """
    notes = []
    epochs = min(_MOST_EPOCHS, max(_EPOCHS, -(-_STEPS // steps_per_epoch)))
    if config.epochs is None and epochs > _EPOCHS:
        notes.append(f"few rows: {epochs} epochs of {steps_per_epoch} steps")
    patience = _PATIENCE if validation_rows >= FEW else 0
    if config.early_stopping is None and 0 < validation_rows < FEW:
        notes.append(
            f"no early stopping on {validation_rows} validation rows; the best epoch "
            "is kept"
        )
    if config.early_stopping is not None:
        patience = config.early_stopping
    return replace(
        config, epochs=config.epochs or epochs, early_stopping=patience
    ), notes
