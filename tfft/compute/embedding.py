"""Embeddings that look rows up before they cast them."""

from __future__ import annotations

import types
from typing import Any

from tfft.compute.layers import spots


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
    import keras
    import tensorflow as tf

    table = self.embeddings
    # With Keras' own LoRA it is a sum. Quantised layers have a call of their own.
    if reverse or not isinstance(table, keras.Variable):
        plain = type(self).call
        return plain(self, inputs, reverse) if reverse else plain(self, inputs)
    # From what is read of the variable: TensorFlow's lookup in a variable itself has
    # every other read of it copy the whole table from then on.
    rows = tf.gather(tf.convert_to_tensor(_uncast(table)), tf.cast(inputs, "int32"))
    return tf.cast(rows, self.compute_dtype)


def _uncast(variable: Any) -> Any:
    """Returns what stands for a variable now, in a dtype of its own."""
    # Keras has no public way: under mixed precision, a layer reads its weights cast.
    autocast, variable._autocast = variable._autocast, False
    try:
        return variable.value
    finally:
        variable._autocast = autocast
