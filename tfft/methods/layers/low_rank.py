"""A low-rank update s·(x·A)·B, alone and in one product with the layer's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops


def low_rank(x: Any, a: Any, b: Any, scale: Any) -> Any:
    """Returns s·(x·A)·B, never the product A·B.

    Args:
        x: Inputs, shape (..., in).
        a: Down projection A, shape (in, rank).
        b: Up projection B, shape (rank, out).
        scale: The factor s, a number or a scalar variable.

    Returns:
        The update of the outputs, shape (..., out).
    """
    # Keras casts weights of itself only where a layer's two dtypes differ; in a layer
    # all bfloat16, float32 factors would make the sum float32.
    a, b = ops.cast(a, x.dtype), ops.cast(b, x.dtype)
    # As one matrix: for the gradient of A, TensorFlow would form a product for each
    # row of the batch and add them up. The scale goes where the numbers are fewest.
    rows = ops.reshape(x, (-1, x.shape[-1]))
    update = ops.matmul(ops.matmul(rows, a) * ops.cast(scale, x.dtype), b)
    return ops.reshape(update, (*ops.shape(x)[:-1], b.shape[-1]))


def with_low_rank(x: Any, kernel: Any, bias: Any, a: Any, b: Any, scale: Any) -> Any:
    """Returns x·W + b + s·(x·A)·B in products that stand for sums.

    With h = s·x·A: to more outputs than inputs, y = [x, h, 1]·[W; B; b], so that the
    outputs are written once and their gradient is read once for x and h; to fewer,
    [x·W, x·A] = x·[W, A], so that this holds for the inputs. A copy of W is made for
    it, which is nothing beside the states of a batch, and too much for a single token.

    Args:
        x: Inputs, shape (..., in).
        kernel: W, shape (in, out); it gets no gradient.
        bias: b, shape (out,), or None.
        a: Down projection A, shape (in, rank).
        b: Up projection B, shape (rank, out).
        scale: The factor s, a number or a scalar variable, which gets no gradient.

    Returns:
        Shape (..., out).

    >>> one = tf.ones((1, 1))
    >>> with_low_rank(one, 2 * one, 3 * one[0], 4 * one, 5 * one, 6.0).numpy().item()
    125.0
    """
    size, outputs = kernel.shape
    kernel, a, b = (ops.cast(one, x.dtype) for one in (kernel, a, b))
    # No bias is a bias of no rows.
    rows = ops.zeros((0, outputs), x.dtype)
    if bias is not None:
        rows = ops.cast(ops.reshape(bias, (1, outputs)), x.dtype)
    form = _one_read
    if outputs > size:
        form = _one_write
        # Rows of zeros: AMX takes 32 inputs at a time in bfloat16, and a product 7 to
        # 17 % longer where some are left.
        used = size + a.shape[1] + rows.shape[0]
        rows = ops.pad(rows, [[0, -used % 32], [0, 0]])
    run = form(kernel, ops.cast(scale, x.dtype))
    y = run(ops.reshape(x, (-1, size)), rows, a, b)
    return ops.reshape(y, (*ops.shape(x)[:-1], outputs))


def _one_write(W: Any, scale: Any) -> Callable[..., Any]:
    """Returns the form for more outputs than inputs."""

    @tf.custom_gradient
    def run(x: Any, bias: Any, A: Any, B: Any) -> tuple[Any, Callable]:
        h = tf.matmul(x, A) * scale
        ones = _ones(x, bias)
        y = tf.matmul(tf.concat([x, h, ones], 1), tf.concat([W, B, bias], 0))

        def gradient(dy: Any) -> tuple[Any, ...]:
            both = _by_transposed(dy, tf.concat([W, B], 0))
            dx, dh = tf.split(both, [W.shape[0], B.shape[0]], axis=1)
            dh = dh * scale
            return dx + _by_transposed(dh, A), *_of_weights(x, h, ones, dh, dy)

        return y, gradient

    return run


def _one_read(W: Any, scale: Any) -> Callable[..., Any]:
    """Returns the form for no more outputs than inputs."""

    @tf.custom_gradient
    def run(x: Any, bias: Any, A: Any, B: Any) -> tuple[Any, Callable]:
        both = tf.concat([W, A], 1)
        y, h = tf.split(tf.matmul(x, both), [W.shape[1], A.shape[1]], axis=1)
        h = h * scale
        ones = _ones(x, bias)
        y = y + tf.matmul(tf.concat([h, ones], 1), tf.concat([B, bias], 0))

        def gradient(dy: Any) -> tuple[Any, ...]:
            dh = _by_transposed(dy, B) * scale
            dx = _by_transposed(tf.concat([dy, dh], 1), both)
            return dx, *_of_weights(x, h, ones, dh, dy)

        return y, gradient

    return run


def _of_weights(x: Any, h: Any, ones: Any, dh: Any, dy: Any) -> list[Any]:
    """Returns the gradients of b, A and B."""
    pairs = ((ones, dy), (x, dh), (h, dy))
    return [tf.matmul(one, other, transpose_a=True) for one, other in pairs]


def _by_transposed(x: Any, matrix: Any) -> Any:
    return tf.matmul(x, matrix, transpose_b=True)


def _ones(x: Any, bias: Any) -> Any:
    """Returns a column of ones for each row of the bias, of which there may be none."""
    return tf.ones((tf.shape(x)[0], bias.shape[0]), x.dtype)
