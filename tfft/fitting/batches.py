"""The batches of a training by its options."""

from __future__ import annotations

from tfft.data.batching import Batches, Examples
from tfft.fitting.config import FinetuneConfig


def training_batches(
    examples: Examples, config: FinetuneConfig, replicas: int = 1
) -> Batches:
    """Returns the batches to train on.

    All have the same number of rows where XLA would compile another number anew, where
    replicas share them, and where `batch_size="auto"` may cut them into more pieces.

    Args:
        examples: The training rows.
        config: The options.
        replicas: Copies of the model that share a batch. Defaults to 1.
    """
    from tfft.training.hardware import choose_compilation

    compiled = choose_compilation(config.compile_step)
    return Batches(
        examples,
        config.rows_per_step,
        config.seed,
        divisible_by=replicas * config.accumulation,
        equal=replicas > 1 or compiled or config.batch_size == "auto",
    )
