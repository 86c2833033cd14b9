"""What a training will cost, said before it starts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tfft.data.batching import Batches, bucket_length

# Bytes kept for the backward pass per token, layer and hidden unit in 16-bit
# numbers, and per attention score (Korthikanti et al., 2022, arXiv:2205.05198).
_BYTES_PER_UNIT, _BYTES_PER_SCORE = 34, 5
# A variable's gradient and AdamW's two moments, in float32.
_BYTES_PER_TRAINABLE = 12


@dataclass(frozen=True)
class Cost:
    """Figures of a training.

    Attributes:
        trainable: Number of trainable parameters.
        total: Number of parameters.
        memory: Bytes of weights, optimizer and activations, about.
        steps: Optimizer steps.
        epochs: Passes over the rows.
        tokens: Real tokens of an epoch.
        padding: Share of an epoch's tokens that is padding.
    """

    trainable: int
    total: int
    memory: int
    steps: int
    epochs: int
    tokens: int
    padding: float

    def __str__(self) -> str:
        """Returns the cost line."""
        share = 100 * self.trainable / self.total
        return (
            f"trainable {self.trainable:,} of {self.total:,} parameters ({share:.2f} %)"
            f" · about {self.memory / 1e9:.1f} GB"
            f" · {self.steps:,} steps in {self.epochs} epochs"
            f" · {self.tokens:,} tokens an epoch, {100 * self.padding:.0f} % padding"
        )


def count(variables: Iterable[Any]) -> int:
    """Returns the number of values in variables."""
    return sum(math.prod(variable.shape) for variable in variables)


def estimate(
    network: Any, backbone: Any, batches: Batches, epochs: int, half: bool
) -> Cost:
    """Returns the cost of training a network.

    Args:
        network: The backbone with its head, trainability set.
        backbone: For its sizes.
        batches: The training rows.
        epochs: Passes over them.
        half: Whether activations take 16 bits.
    """
    trainable, total = count(network.trainable_weights), count(network.weights)
    length = bucket_length(int(batches.examples.lengths.max()))
    unit = _BYTES_PER_UNIT * backbone.hidden_dim
    score = _BYTES_PER_SCORE * backbone.num_heads * length
    per_token = backbone.num_layers * (unit + score) * (1 if half else 2)
    activations = per_token * batches.batch_size * length
    real, padded = batches.tokens()
    return Cost(
        trainable=trainable,
        total=total,
        memory=4 * total + _BYTES_PER_TRAINABLE * trainable + activations,
        steps=len(batches) * epochs,
        epochs=epochs,
        tokens=real,
        padding=1 - real / padded,
    )
