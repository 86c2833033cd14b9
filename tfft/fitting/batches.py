"""The batches of a training."""

from __future__ import annotations

from tfft.data.batching import Batches, Examples
from tfft.fitting.config import FinetuneConfig


def training_batches(
    examples: Examples, config: FinetuneConfig, replicas: int = 1
) -> Batches:
    """Returns the batches to train on.

    All batches have the same number of rows when XLA compiles the step (another number
    would compile again), when replicas share batches, and when `batch_size="auto"` may
    cut them into more pieces.

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
