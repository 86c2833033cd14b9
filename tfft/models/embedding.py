"""Embeddings that look rows up before they cast them."""

from __future__ import annotations

import types
from typing import Any

from tfft.models.layers import spots


def use_rows(backbone: Any) -> None:
    """Makes the embeddings of a backbone cast the rows that a batch has alone.

    Under mixed precision Keras casts the table in every step, and adds its gradient up
    in the narrow dtype. Here the rows of a token are added up in the table's own.

    Args:
        backbone: Changed in place; its weights and its results stay.
    """
    import keras

    plain = (keras.layers.Embedding.call, keras.layers.ReversibleEmbedding.call)
    for spot in spots(backbone):
        layer = spot.layer
        if (
            isinstance(layer, keras.layers.Embedding)
            and type(layer).call in plain
            and not layer.mask_zero
        ):
            layer.call = types.MethodType(_compute, layer)


def _compute(self: Any, inputs: Any, reverse: bool = False) -> Any:
    """Stands in for the `call` of `Embedding` and `ReversibleEmbedding`."""
    import tensorflow as tf

    # The variable itself: read by Keras' public ways it comes cast. A table with
    # Keras' own LoRA is none. Quantised layers have a call of their own.
    table = getattr(self.embeddings, "_value", None)
    if reverse or table is None:
        plain = type(self).call
        return plain(self, inputs, reverse) if reverse else plain(self, inputs)
    return tf.cast(tf.gather(table, tf.cast(inputs, "int32")), self.compute_dtype)
