"""Attention with fewer passes over its scores, for a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfft.compute.precision import wide


def attend_with_columns(query: Any, key: Any, value: Any, hidden: Any = None) -> Any:
    """Returns softmax(q·kᵀ + hidden)·v with its own gradient.

    A number added to all scores of a query or of a key can be part of the product that
    computes the scores, as one more column of its factors: q·kᵀ + m is [q, 1]·[k, m]ᵀ.
    This is done with the mask, if it is the same for all queries, and with the row sums
    D = Σ ∂o∘o in the gradient of the softmax, P∘(∂o·vᵀ - D) (Dao et al., 2022,
    arXiv:2205.14135, appendix B.2): ∂o·vᵀ - D is [∂o, -D]·[v, 1]ᵀ. Of TensorFlow's five
    passes over arrays of size length by keys, one remains besides the softmax.

    Args:
        query: q, scaled, shape (batch, length, heads, d).
        key: Shape (batch, keys, heads, d).
        value: Shape (batch, keys, heads, d).
        hidden: Added to the scores, shape (batch, 1 or length, keys); it gets no
            gradient. Defaults to None.

    Returns:
        Shape (batch, length, heads, d).

    >>> import tensorflow as tf
    >>> q, hidden = tf.ones((1, 1, 1, 2)), tf.constant([[[0.0, -1e9]]])
    >>> v = tf.reshape([1.0, 2.0, 3.0, 4.0], (1, 2, 1, 2))
    >>> attend_with_columns(q, tf.ones_like(v), v, hidden).numpy().ravel().tolist()
    [1.0, 2.0]
    """
    import tensorflow as tf

    of_keys = hidden is not None and hidden.shape[1] == 1

    @tf.custom_gradient
    def run(query: Any, key: Any, value: Any) -> tuple[Any, Callable[[Any], Any]]:
        q, k, v = (_by_head(x) for x in (query, key, value))
        if of_keys:
            column = tf.broadcast_to(hidden[:, 0, :, None, None], _column(key))
            scores = _product(
                _by_head(tf.concat([query, tf.ones(_column(query), q.dtype)], -1)),
                _by_head(tf.concat([key, column], -1)),
            )
        else:
            scores = _product(q, k)
            scores = scores if hidden is None else scores + hidden[:, None]
        # oneDNN sums in float32 whatever the dtype; an explicit cast takes longer.
        shares = tf.nn.softmax(scores)
        mixed = _by_head(tf.matmul(shares, v))

        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            # In float32: the product below almost cancels these sums.
            sums = tf.reduce_sum(wide(upstream) * wide(mixed), -1, keepdims=True)
            ones = tf.ones(_column(value), v.dtype)
            slope = shares * _product(
                _by_head(tf.concat([upstream, -tf.cast(sums, v.dtype)], -1)),
                _by_head(tf.concat([value, ones], -1)),
            )
            parts = (
                tf.matmul(slope, k),
                tf.matmul(slope, q, transpose_a=True),
                tf.matmul(shares, _by_head(upstream), transpose_a=True),
            )
            return tuple(_by_head(part) for part in parts)

        return mixed, gradient

    return run(query, key, value)


def _by_head(x: Any) -> Any:
    """Swaps the axes of length and heads."""
    import tensorflow as tf

    return tf.transpose(x, (0, 2, 1, 3))


def _product(x: Any, y: Any) -> Any:
    """Returns x·yᵀ for each head."""
    import tensorflow as tf

    return tf.matmul(x, y, transpose_b=True)


def _column(x: Any) -> Any:
    """Returns the shape of x with a last axis of size 1."""
    import tensorflow as tf

    return tf.concat([tf.shape(x)[:-1], [1]], 0)
