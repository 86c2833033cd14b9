"""Pooling: one vector for a text from the states of its tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfft.core.model_config import Pooling
from tfft.models.architecture import Architecture

_LOWEST = -3.0e38  # of float32: minus infinity has no product with 0


@keras.saving.register_keras_serializable("tfft")
class MaskedMean(keras.layers.Layer):
    """The mean of the states of real tokens, in float32.

    Call arguments:
        states: Shape (batch, length, hidden).
        mask: 1 for real tokens, shape (batch, length); at least one in each row.

    Returns:
        Shape (batch, hidden).

    >>> import numpy as np
    >>> states = np.array([[[1.0], [3.0], [9.0]]], "float32")
    >>> MaskedMean()(states, np.array([[1, 1, 0]])).numpy().tolist()
    [[2.0]]
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"dtype": "float32", **options})

    def call(self, states: Any, mask: Any) -> Any:
        """Returns the mean."""
        # LiteRT does not support a slice that adds an axis here.
        weights = ops.expand_dims(ops.cast(mask, states.dtype), axis=-1)
        return ops.sum(states * weights, axis=1) / ops.sum(weights, axis=1)


@keras.saving.register_keras_serializable("tfft")
class MeanSqrtLen(MaskedMean):
    """The sum of the states of real tokens divided by the root of their number.

    Call arguments and result are those of `MaskedMean`.

    >>> import numpy as np
    >>> states = np.array([[[1.0], [3.0], [4.0], [8.0], [9.0]]], "float32")
    >>> MeanSqrtLen()(states, np.array([[1, 1, 1, 1, 0]])).numpy().tolist()
    [[8.0]]
    """

    def call(self, states: Any, mask: Any) -> Any:
        """Returns the sum divided by the root."""
        weights = ops.expand_dims(ops.cast(mask, states.dtype), axis=-1)
        total = ops.sum(states * weights, axis=1)
        return total / ops.sqrt(ops.sum(weights, axis=1))


@keras.saving.register_keras_serializable("tfft")
class WeightedMean(MaskedMean):
    """The mean of the states of real tokens, where the n-th has weight n.

    It suits decoders, whose later tokens have seen more of the text (Muennighoff,
    2022, arXiv:2202.08904). Call arguments and result are those of `MaskedMean`.

    >>> import numpy as np
    >>> states = np.array([[[1.0], [4.0], [9.0]]], "float32")
    >>> WeightedMean()(states, np.array([[1, 1, 0]])).numpy().tolist()
    [[3.0]]
    """

    def call(self, states: Any, mask: Any) -> Any:
        """Returns the weighted mean."""
        real = ops.cast(mask, states.dtype)
        return super().call(states, ops.cumsum(real, axis=1) * real)


@keras.saving.register_keras_serializable("tfft")
class MaskedMax(MaskedMean):
    """The largest value of each dimension among the states of real tokens.

    Call arguments and result are those of `MaskedMean`.

    >>> import numpy as np
    >>> states = np.array([[[1.0], [3.0], [9.0]]], "float32")
    >>> MaskedMax()(states, np.array([[1, 1, 0]])).numpy().tolist()
    [[3.0]]
    """

    def call(self, states: Any, mask: Any) -> Any:
        """Returns the largest values."""
        real = ops.expand_dims(ops.cast(mask, "bool"), axis=-1)
        return ops.max(ops.where(real, states, _LOWEST), axis=1)


@keras.saving.register_keras_serializable("tfft")
class LastToken(keras.layers.Layer):
    """The state of the last real token, wherever the padding is.

    Call arguments:
        states: Shape (batch, length, hidden).
        mask: 1 for real tokens, shape (batch, length); at least one in each row.

    Returns:
        Shape (batch, hidden).

    >>> import numpy as np
    >>> states = np.array([[[1.0], [3.0], [9.0]]], "float32")
    >>> LastToken()(states, np.array([[1, 1, 0]])).numpy().tolist()
    [[3.0]]
    """

    def call(self, states: Any, mask: Any) -> Any:
        """Returns the state."""
        positions = ops.arange(ops.shape(mask)[1], dtype="int32")
        last = ops.argmax(positions * ops.cast(mask, "int32"), axis=1)
        places = ops.expand_dims(last, axis=(1, 2))
        return ops.take_along_axis(states, places, axis=1)[:, 0]


_LAYERS: dict[Pooling, type[keras.layers.Layer]] = {
    "last": LastToken,
    "max": MaskedMax,
    "mean": MaskedMean,
    "mean_sqrt_len": MeanSqrtLen,
    "weightedmean": WeightedMean,
}


def summary(architecture: Architecture, backbone: Any, pooling: Pooling) -> Any:
    """Returns the symbolic text vector of a backbone's inputs, shape (batch, hidden).

    Args:
        architecture: The architecture, which knows the backbone's outputs.
        backbone: A functional KerasHub backbone.
        pooling: `pooler` for the layer pretrained for it; `first` or `last` for the
            state of the first or last real token; over all real tokens `mean`, `max`,
            `mean_sqrt_len` for the sum divided by the root of their number, or
            `weightedmean` for the mean where the n-th token has weight n.
    """
    outputs = backbone.output
    if pooling == "pooler":
        return architecture.pooled(outputs)
    states = architecture.sequence(outputs)
    if pooling == "first":
        return states[:, 0]
    layer = _LAYERS[pooling](name=f"{pooling}_pooling")
    return layer(states, backbone.input["padding_mask"])
