"""Attention as two plain batched products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfft.compute.fast_form import fast_method
from tfft.compute.processor import is_for_processor
from tfft.compute.processor_attention import attend_with_columns

# Far below any score, so that exp gives exactly 0: a masked token contributes nothing
# to the output and gets exactly no gradient.
_MASKED = -1e9


def attend(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    drop: Callable[[Any], Any] | None = None,
) -> Any:
    """Returns softmax(q·kᵀ/√d)·v over the keys that the mask allows.

    Args:
        query: Shape (batch, length, heads, d).
        key: Shape (batch, keys, groups, d). Heads share keys if there are fewer groups
            than heads.
        value: Shape (batch, keys, groups, d).
        mask: True for keys to attend to, broadcastable to (batch, length, keys). Each
            query needs at least one. Defaults to None, all keys.
        drop: A function applied to the softmax, such as dropout. Defaults to None.

    Returns:
        Shape (batch, length, heads, d).

    >>> import numpy as np
    >>> one = np.ones((1, 1, 1, 2), "float32")
    >>> v = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]], "float32")
    >>> k, mask = np.ones_like(v), np.array([[[True, False]]])
    >>> attend(one, k, v, mask).numpy().ravel().tolist()
    [1.0, 2.0]
    """
    from keras import ops

    repeats = query.shape[2] // key.shape[2]
    if repeats > 1:
        key, value = (ops.repeat(one, repeats, axis=2) for one in (key, value))
    query, hidden = query * query.shape[-1] ** -0.5, None
    if mask is not None:
        hidden = ops.where(ops.cast(mask, "bool"), 0.0, _MASKED)
        hidden = ops.cast(hidden, query.dtype)
    if drop is None and is_for_processor():
        return attend_with_columns(query, key, value, hidden)
    query, key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
    if hidden is not None:
        scores = scores + hidden[:, None]
    # oneDNN sums in float32 whatever the dtype; an explicit cast takes longer.
    shares = ops.softmax(scores)
    if drop is not None:
        shares = drop(shares)
    return ops.transpose(ops.matmul(shares, value), (0, 2, 1, 3))


def attend_grouped(
    query: Any, keys: Sequence[Any], values: Sequence[Any], mask: Any
) -> Any:
    """Returns `attend` over keys and values given in pieces, without copying them.

    Heads that share keys are rows of the same product, so no keys are repeated.

    Args:
        query: Shape (batch, length, heads, d).
        keys: Pieces of shape (batch, groups, places, d), in order.
        values: Pieces of the same shapes.
        mask: True for keys to attend to, shape (batch, length, places of all pieces).

    Returns:
        Shape (batch, length, heads, d).

    >>> import numpy as np
    >>> one = np.ones((1, 1, 2, 2), "float32")
    >>> k, v = np.ones((1, 1, 1, 2), "float32"), np.array([[[[1.0, 2.0]]]], "float32")
    >>> mask = np.array([[[True, True]]])
    >>> attend_grouped(one, [k, k], [v, 3 * v], mask).numpy().tolist()
    [[[[2.0, 4.0], [2.0, 4.0]]]]
    """
    import tensorflow as tf

    heads, size = query.shape[2:]
    groups = keys[0].shape[1]
    # Read from the mask, which all layers share: the graph holds these shapes once.
    batch, length = tf.shape(mask)[0], tf.shape(mask)[1]
    hidden = tf.cast(tf.where(mask, 0.0, _MASKED), query.dtype)[:, None]
    hidden = tf.tile(hidden, (1, 1, heads // groups, 1))
    query = tf.transpose(query * size**-0.5, (0, 2, 1, 3))
    query = tf.reshape(query, (batch, groups, heads // groups * length, size))
    scores = [tf.matmul(query, piece, transpose_b=True) for piece in keys]
    shares = tf.nn.softmax(tf.concat(scores, axis=-1) + hidden)
    pieces = tf.split(shares, [tf.shape(piece)[2] for piece in values], axis=-1)
    mixed = tf.add_n([tf.matmul(*pair) for pair in zip(pieces, values, strict=True)])
    mixed = tf.reshape(mixed, (batch, heads, length, size))
    return tf.transpose(mixed, (0, 2, 1, 3))


def attend_causally(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Returns `attend` under a mask that hides later tokens from earlier ones.

    Skips the first half of the queries with the second half of the keys. This saves a
    quarter of the products, of the exponentials and of their memory.

    Args:
        query: Shape (batch, length, heads, d).
        key: Shape (batch, length, groups, d).
        value: Shape (batch, length, groups, d).
        mask: True for keys to attend to, shape (batch, length, length).

    Returns:
        Shape (batch, length, heads, d).
    """
    import tensorflow as tf

    length = tf.shape(query)[1]
    first = (length + 1) // 2

    def halves(x: Any, axis: int = 1) -> Any:
        # The gradient of a slice takes several times as long as that of a split.
        return tf.split(x, [first, length - first], axis=axis)

    early, late = halves(query)
    above, below = halves(mask)
    seen, _ = halves(above, axis=2)
    first_half = attend(early, halves(key)[0], halves(value)[0], seen)
    return tf.concat([first_half, attend(late, key, value, below)], axis=1)


def _is_plain(layer: Any) -> bool:
    """Returns whether a layer uses Keras' own attention.

    Keras documents `_compute_attention` as the method to override, and some subclasses
    override it.
    """
    import keras

    plain = keras.layers.MultiHeadAttention
    return (
        isinstance(layer, plain)
        and type(layer)._compute_attention is plain._compute_attention
    )


def _compute(
    self: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any = None,
    training: bool | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> tuple[Any, Any]:
    """Replaces `MultiHeadAttention._compute_attention`."""
    if return_attention_scores or use_causal_mask or len(query.shape) != 4:
        plain = type(self)._compute_attention
        return plain(
            self,
            query,
            key,
            value,
            attention_mask,
            training,
            return_attention_scores,
            use_causal_mask,
        )

    def drop(shares: Any) -> Any:
        return self._dropout_layer(shares, training=training)

    mixed = attend(query, key, value, attention_mask, drop if self.dropout else None)
    return mixed, None


# Keras orders the operands in a way that suits neither oneDNN nor cuBLAS: on a CPU in
# bfloat16 its product of queries and keys takes four times as long as in `attend`.
TWO_PRODUCTS = fast_method(_is_plain, _compute, "_compute_attention")
