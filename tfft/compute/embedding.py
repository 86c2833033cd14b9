"""Embeddings that look up rows before casting them."""

from __future__ import annotations

from typing import Any

from tfft.compute.fast_form import fast_method


def _is_plain(layer: Any) -> bool:
    import keras

    plain = (keras.layers.Embedding.call, keras.layers.ReversibleEmbedding.call)
    return (
        isinstance(layer, keras.layers.Embedding)
        and type(layer).call in plain
        and not layer.mask_zero
    )


def _compute(self: Any, inputs: Any, reverse: bool = False) -> Any:
    """Replaces `call` of `Embedding` and `ReversibleEmbedding`."""
    import keras
    import tensorflow as tf

    table = self.embeddings
    # Keras' own LoRA makes the table a sum. Quantized layers have their own call.
    if reverse or not isinstance(table, keras.Variable):
        plain = type(self).call
        return plain(self, inputs, reverse) if reverse else plain(self, inputs)
    # Gather from the value and not from the variable: after TensorFlow's lookup in a
    # variable, every other read of it copies the whole table.
    rows = tf.gather(tf.convert_to_tensor(_uncast(table)), tf.cast(inputs, "int32"))
    return tf.cast(rows, self.compute_dtype)


def _uncast(variable: Any) -> Any:
    """Returns a variable's current value in the variable's own dtype."""
    # Keras has no public way: under mixed precision a layer reads its weights cast.
    autocast, variable._autocast = variable._autocast, False
    try:
        return variable.value
    finally:
        variable._autocast = autocast


# Under mixed precision Keras casts the whole table in every step and sums its gradient
# in the narrow dtype. This form casts only the rows of the batch and sums a token's
# gradients in the table's own dtype.
ROWS_FIRST = fast_method(_is_plain, _compute)
