"""Summing up a text: one vector from the states of its tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfft.models.architecture import Architecture
from tfft.models.configuration import Pooling


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
        # LiteRT has no form of a slice that adds an axis here.
        weights = ops.expand_dims(ops.cast(mask, states.dtype), axis=-1)
        return ops.sum(states * weights, axis=1) / ops.sum(weights, axis=1)


@keras.saving.register_keras_serializable("tfft")
class LastToken(keras.layers.Layer):
    """The state of the last real token, wherever the padding stands.

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


def summary(architecture: Architecture, backbone: Any, pooling: Pooling) -> Any:
    """Returns the symbolic summary of a backbone's inputs, shape (batch, hidden).

    Args:
        architecture: Knows the outputs.
        backbone: A functional KerasHub backbone.
        pooling: `pooler` for the layer pretrained for it, `first` for the state of
            the first token, `last` for that of the last real one, `mean` for the mean
            of all.
    """
    outputs = backbone.output
    if pooling == "pooler":
        return architecture.pooled(outputs)
    states = architecture.sequence(outputs)
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        return LastToken(name="last_pooling")(states, backbone.input["padding_mask"])
    return MaskedMean(name="mean_pooling")(states, backbone.input["padding_mask"])
