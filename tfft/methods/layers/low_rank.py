"""A low-rank update s·(x·A)·B, alone or fused into the layer's own product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops


def low_rank(x: Any, a: Any, b: Any, scale: Any) -> Any:
    """Returns s·(x·A)·B without computing A·B.

    Args:
        x: Inputs, shape (..., in).
        a: Down projection A, shape (in, rank).
        b: Up projection B, shape (rank, out).
        scale: The factor s, a number or a scalar variable.

    Returns:
        The update of the outputs, shape (..., out).
    """
    # Keras casts weights only in layers whose two dtypes differ; in a pure bfloat16
    # layer, float32 factors would turn the sum into float32.
    a, b = ops.cast(a, x.dtype), ops.cast(b, x.dtype)
    # As one matrix: otherwise TensorFlow computes the gradient of A as one product for
    # each row of the batch and adds them up. Scaling is cheapest at this width.
    rows = ops.reshape(x, (-1, x.shape[-1]))
    update = ops.matmul(ops.matmul(rows, a) * ops.cast(scale, x.dtype), b)
    return ops.reshape(update, (*ops.shape(x)[:-1], b.shape[-1]))


def with_low_rank(x: Any, kernel: Any, bias: Any, a: Any, b: Any, scale: Any) -> Any:
    """Returns x·W + b + s·(x·A)·B, with sums folded into the matrix products.

    With h = s·x·A and more outputs than inputs, y = [x, h, 1]·[W; B; b], which writes
    the outputs once and reads their gradient once for both x and h. With fewer outputs,
    [x·W, x·A] = x·[W, A], which does the same for the inputs. Either form copies W,
    which costs little next to a batch of states but too much for a single token.

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
    # A missing bias is a (0, out) matrix, so that concatenation still works.
    rows = ops.zeros((0, outputs), x.dtype)
    if bias is not None:
        rows = ops.cast(ops.reshape(bias, (1, outputs)), x.dtype)
    form = _one_read
    if outputs > size:
        form = _one_write
        # Padding: in bfloat16, AMX takes 32 inputs at a time, and a product takes 7 to
        # 17 % longer if some are left over.
        used = size + a.shape[1] + rows.shape[0]
        rows = ops.pad(rows, [[0, -used % 32], [0, 0]])
    run = form(kernel, ops.cast(scale, x.dtype))
    y = run(ops.reshape(x, (-1, size)), rows, a, b)
    return ops.reshape(y, (*ops.shape(x)[:-1], outputs))


def _one_write(W: Any, scale: Any) -> Callable[..., Any]:
    """Returns the form for layers with more outputs than inputs."""

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
    """Returns the form for layers with at most as many outputs as inputs."""

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
    """Returns a column of ones for each row of the bias, which may have none."""
    return tf.ones((tf.shape(x)[0], bias.shape[0]), x.dtype)
