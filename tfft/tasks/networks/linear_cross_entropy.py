"""Cross-entropy of a linear head, a few tokens at a time.

With GPT-2's vocabulary the logits of 8,192 tokens take 1.6 GB, and as much again
for their gradient. Here the logits of a few hundred tokens exist at a time. The
gradient for the states is taken in the same pass, as in Liger Kernel
(arXiv:2410.10989); only a matrix that trains has its logits computed once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Values in the logits of a chunk: 64 MB in float32.
_CHUNK_VALUES = 2**24


def linear_cross_entropy(
    states: Any,
    matrix: Any,
    labels: Any,
    *,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    trains: bool = True,
    matrix_trains: bool = True,
    chunk: int | None = None,
) -> tuple[Any, Any]:
    """Returns -Σ q·log p + ζ·log²Z of each token, p = softmax(W·h), and its hits.

    Args:
        states: h, shape (tokens, hidden).
        matrix: W, shape (vocabulary, hidden).
        labels: The right ids y, shape (tokens,).
        label_smoothing: ε: q is 1-ε at y, and ε spread over the vocabulary.
        z_loss: ζ: keeps log Z, the logarithm of the softmax's denominator, small.
        trains: Whether to have gradients.
        matrix_trains: Whether to have one for W.
        chunk: Tokens at a time. Defaults to as many as make 64 MB of logits.

    Returns:
        The losses in float32, with gradients, and whether no id is likelier than
        the label, as 0 or 1; both of shape (tokens,).

    >>> h, W = tf.zeros((3, 2)), tf.zeros((4, 2))
    >>> losses, _ = linear_cross_entropy(h, W, tf.constant([0, 1, 2]))
    >>> round(float(losses[0]), 6)  # log 4
    1.386294
    """
    loss = _Chunked(labels, label_smoothing, z_loss, chunk, matrix.shape[0])
    states, matrix = tf.convert_to_tensor(states), tf.convert_to_tensor(matrix)
    if not trains:
        losses, hits, _ = loss.forward(states, matrix, gradient=False)
        return losses, hits

    @tf.custom_gradient
    def run(h: Any, W: Any) -> tuple[Any, Any]:
        losses, hits, dh = loss.forward(h, W, gradient=True)

        def gradient(upstream: Any, _: Any) -> tuple[Any, Any]:
            grown = tf.cast(upstream, dh.dtype)[:, None] * dh
            return grown, loss.matrix_gradient(
                h, W, upstream
            ) if matrix_trains else None

        return (losses, hits), gradient

    return run(states, matrix)


class _Chunked:
    """The loss of one set of labels, in chunks of equal size."""

    def __init__(
        self,
        labels: Any,
        smoothing: float,
        z_loss: float,
        chunk: int | None,
        vocabulary: int,
    ) -> None:
        self.count = tf.shape(labels)[0]
        self.size = chunk or _even_size(self.count, _CHUNK_VALUES // vocabulary)
        self.chunks = -(-self.count // self.size)
        self.smoothing, self.z_loss = smoothing, z_loss
        self.labels = self._split(tf.cast(labels, tf.int32))

    def _split(self, values: Any) -> Any:
        """Returns (chunks, size, …), the last chunk filled up with zeros."""
        missing = self.chunks * self.size - self.count
        padded = tf.pad(values, [[0, missing], *[[0, 0]] * (values.shape.rank - 1)])
        return tf.reshape(padded, (self.chunks, self.size, *values.shape[1:]))

    def _joined(self, parts: Any) -> Any:
        return tf.reshape(parts, (-1, *parts.shape[2:]))[: self.count]

    def forward(self, h: Any, W: Any, gradient: bool) -> tuple[Any, Any, Any]:
        """Returns losses, hits and the gradient of each loss for its own state."""
        kernel = tf.cast(W, h.dtype)

        def chunk(part: tuple[Any, Any]) -> Any:
            x, ids = part
            logits = tf.cast(tf.matmul(x, kernel, transpose_b=True), tf.float32)
            right = tf.gather(logits, ids, batch_dims=1)
            best = tf.reduce_max(logits, axis=-1)
            p, log_z = _softmax(logits, best)
            losses = self._losses(logits, log_z, right)
            hits = tf.cast(right >= best, tf.float32)
            if not gradient:
                return losses, hits
            d = tf.cast(self._for_logits(p, log_z, ids), h.dtype)
            return losses, hits, tf.matmul(d, kernel)

        kinds = (tf.float32, tf.float32, h.dtype)[: 3 if gradient else 2]
        outputs = _map(chunk, (self._split(h), self.labels), kinds)
        return (*map(self._joined, outputs), *(() if gradient else (None,)))

    def _losses(self, logits: Any, log_z: Any, right: Any) -> Any:
        losses = log_z - (1 - self.smoothing) * right
        if self.smoothing:
            losses -= self.smoothing * tf.reduce_mean(logits, axis=-1)
        return losses + self.z_loss * log_z**2 if self.z_loss else losses

    def _for_logits(self, d: Any, log_z: Any, ids: Any) -> Any:
        """Returns each loss's gradient for its logits, (1+2ζ·log Z)·p - q."""
        if self.z_loss:
            d *= (1 + 2 * self.z_loss * log_z)[:, None]
        if self.smoothing:
            d -= self.smoothing / d.shape[-1]
        places = tf.stack([tf.range(self.size), ids], axis=1)
        share = tf.fill((self.size,), tf.constant(1 - self.smoothing, tf.float32))
        return tf.tensor_scatter_nd_sub(d, places, share)

    def matrix_gradient(self, h: Any, W: Any, upstream: Any) -> Any:
        """Returns the gradient of Σ upstream·loss for W."""
        kernel = tf.cast(W, h.dtype)
        states, factors = self._split(h), self._split(upstream)

        def body(index: Any, total: Any) -> tuple[Any, Any]:
            x = states[index]
            logits = tf.cast(tf.matmul(x, kernel, transpose_b=True), tf.float32)
            p, log_z = _softmax(logits, tf.reduce_max(logits, axis=-1))
            d = self._for_logits(p, log_z, self.labels[index])
            d = tf.cast(d * factors[index][:, None], h.dtype)
            part = tf.matmul(d, x, transpose_a=True)
            return index + 1, total + tf.cast(part, tf.float32)

        start = (tf.constant(0), tf.zeros(W.shape, tf.float32))
        _, total = tf.while_loop(
            lambda index, _: index < self.chunks, body, start, parallel_iterations=1
        )
        return tf.cast(total, W.dtype)


def _even_size(count: Any, most: int) -> Any:
    """Returns a size for chunks of equal size, few of whose places are left empty."""
    chunks = tf.maximum(-(-count // max(64, most)), 1)
    return tf.maximum(-(-count // chunks), 1)


def _softmax(logits: Any, best: Any) -> tuple[Any, Any]:
    """Returns p and log Z from the logits and the largest of each row.

    log Z comes of the largest p, which is never 0: a sum of exponentials of its own
    would pass over the logits three times more.
    """
    p = tf.nn.softmax(logits)
    return p, best - tf.math.log(tf.reduce_max(p, axis=-1))


def _map(
    function: Callable[[Any], Any], parts: tuple[Any, ...], kinds: tuple[Any, ...]
) -> Any:
    """Returns what a function makes of each chunk, one chunk at a time."""
    return tf.map_fn(function, parts, fn_output_signature=kinds, parallel_iterations=1)
