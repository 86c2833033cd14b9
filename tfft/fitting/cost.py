"""The cost of a training, estimated before it starts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tfft.compute.layers import spots
from tfft.data.batching import Batches, bucket_length
from tfft.fitting.config import FinetuneConfig

# What backpropagation keeps of a layer, in bytes: by token and unit between the two
# dense layers (GELU's derivative), by token and hidden unit (two norms in float32,
# the layer's input, query, key, value), and by attention score (the softmax). Under
# bfloat16 norms stay in float32.
_KEPT_FLOAT32 = (4, 24, 4)
_KEPT_HALF = (2, 16, 2)
# Further numbers of the first two kinds, when matrices other than query, key and value
# train: the inputs of the dense layers.
_KEPT_OF_INPUTS = (1, 2)
# A mask by hidden unit for two dropouts; by score a mask and the masked score.
_KEPT_OF_MASKS = (2, 1)
# A forward pass alone holds one layer: its GELU's four products, or its scores three
# times; and two states.
_PASSING = (16, 8, 9)
# In float32: a trainable variable's gradient, once more when it is clipped, AdamW's
# two moments, and the best value so far.
_BYTES_PER_TRAINABLE = 20
# A checkpoint copies variable and moments, and once more to write them.
_BYTES_PER_SAVED = 24
# The graphs of training and evaluation, and the kernels that are compiled for them.
_GRAPHS, _GRAPHS_PER_LAYER = 100e6, 10e6
# Results are computed in float32, on this many rows at a time.
_EVALUATED = 32


@dataclass(frozen=True)
class Cost:
    """The cost of a training.

    Attributes:
        trainable: Number of trainable parameters.
        total: Number of parameters.
        memory: Approximate peak in bytes: of the process on a CPU, else of the device.
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


def cost_of(network: Any, batches: Batches, config: FinetuneConfig, half: bool) -> Cost:
    """Returns the cost of a training.

    Args:
        network: The backbone with its head, trainability set.
        batches: The training rows.
        config: The options, with epochs filled in.
        half: Whether activations take 16 bits.
    """
    real, padded = batches.tokens()
    return Cost(
        trainable=count(network.trainable_weights),
        total=count(network.weights),
        memory=_held(network) + _added(network, batches, half, config.accumulation),
        steps=len(batches) * config.epochs,
        epochs=config.epochs,
        tokens=real,
        padding=1 - real / padded,
    )


def _held(network: Any) -> int:
    """Returns the bytes in use: weights, and on a CPU the process with its data."""
    from tfft.training.hardware import devices

    if any(devices()):
        return 4 * count(network.weights)
    import psutil

    return psutil.Process().memory_info().rss


def _added(network: Any, batches: Batches, half: bool, accumulation: int) -> int:
    """Returns the bytes that training adds to that at its worst moment."""
    backbone = network.backbone
    trainable = count(network.trainable_weights)
    rows = -(-batches.batch_size // accumulation)
    length = bucket_length(int(batches.examples.lengths.max()))
    step = _activations(backbone, rows, length, half)
    if half:
        step += 2 * count(v for v in backbone.weights if v.name.endswith("kernel"))
    step += _BYTES_PER_TRAINABLE * trainable
    saving = (_BYTES_PER_TRAINABLE - 8 + _BYTES_PER_SAVED) * trainable
    evaluation = _passing(backbone, _EVALUATED, length) + 12 * trainable
    graphs = _GRAPHS + _GRAPHS_PER_LAYER * backbone.num_layers
    return int(graphs + max(step, saving, evaluation))


def _activations(backbone: Any, rows: int, length: int, half: bool) -> int:
    """Returns the bytes of activations that a step holds at once."""
    inner, unit, score = _KEPT_HALF if half else _KEPT_FLOAT32
    number = 2 if half else 4
    if _trains_beyond_attention(backbone):
        inner += number * _KEPT_OF_INPUTS[0]
        unit += number * _KEPT_OF_INPUTS[1]
    if _dropout(backbone):
        unit += _KEPT_OF_MASKS[0]
        score += _KEPT_OF_MASKS[1] + number
    per_token = (
        inner * backbone.intermediate_dim
        + unit * backbone.hidden_dim
        + score * _heads(backbone) * length
    )
    kept = _layers_with_gradient(backbone) * per_token * rows * length
    return kept + _passing(backbone, rows, length)


def _passing(backbone: Any, rows: int, length: int) -> int:
    """Returns the bytes of a forward pass that nothing goes back through."""
    inner, unit, score = _PASSING
    widest = max(inner * backbone.intermediate_dim, score * _heads(backbone) * length)
    return rows * length * (widest + unit * backbone.hidden_dim)


def _layers_with_gradient(backbone: Any) -> int:
    """Returns how many layers, from the first that trains on, keep activations."""
    blocks = [
        layer
        for layer in backbone.layers
        if any(variable.name.endswith("kernel") for variable in layer.weights)
        and len(layer.weights) > 2
    ]
    if any(v.trainable for v in backbone.weights if "embedding" in v.path):
        return len(blocks)
    trains = [bool(block.trainable_weights) for block in blocks]
    return len(blocks) - trains.index(True) if any(trains) else 0


def _trains_beyond_attention(backbone: Any) -> bool:
    """Returns whether a matrix trains that is not of queries, keys or values."""
    inside = {"query", "key", "value"}
    return any(
        len(variable.shape) > 1 and not inside & set(variable.path.split("/"))
        for variable in backbone.trainable_weights
    )


def _heads(backbone: Any) -> int:
    """Returns the number of heads, which decoders with few key heads name apart."""
    return getattr(backbone, "num_heads", None) or backbone.num_query_heads


def _dropout(backbone: Any) -> bool:
    import keras

    return any(
        isinstance(spot.layer, keras.layers.Dropout) and spot.layer.rate
        for spot in spots(backbone)
    )
