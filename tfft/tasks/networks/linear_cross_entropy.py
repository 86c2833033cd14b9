"""Cross-entropy of a linear head, a few tokens at a time.

With GPT-2's vocabulary the logits of 8,192 tokens take 1.6 GB, and their gradient as
much again. Here the logits of only a few hundred tokens exist at a time. The gradient
of the states is computed in the same pass, as in Liger Kernel (arXiv:2410.10989). If
the matrix trains, its logits are computed a second time, for all tokens but only a few
of the matrix's rows at a time. Each row's gradient is then complete at once, and no
array of the matrix's size has to be accumulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Values in the logits of a chunk: 42 MB in float32. Up to 32 MB, glibc keeps freed
# memory in pieces that no larger array fits into.
_CHUNK_VALUES = 10 * 2**20


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
    """Returns -Σ q·log p + ζ·log²Z of each token, p = softmax(W·h), and hits.

    Args:
        states: h, shape (tokens, hidden).
        matrix: W, shape (vocabulary, hidden).
        labels: The correct ids y, shape (tokens,).
        label_smoothing: ε: q is 1-ε at y, and ε spread over the vocabulary.
        z_loss: ζ: keeps log Z, the logarithm of the softmax's denominator, small.
        trains: Whether to compute gradients.
        matrix_trains: Whether to compute the gradient of W.
        chunk: Tokens per chunk. Defaults to as many as give 42 MB of logits.

    Returns:
        The losses in float32, with gradients, and the hits: 1 if no id is more likely
        than the label, else 0. Both have shape (tokens,).

    >>> h, W = tf.zeros((3, 2)), tf.zeros((4, 2))
    >>> losses, _ = linear_cross_entropy(h, W, tf.constant([0, 1, 2]))
    >>> round(float(losses[0]), 6)  # log 4
    1.386294
    """
    loss = _Chunked(labels, label_smoothing, z_loss, chunk, matrix.shape[0])
    states, matrix = tf.convert_to_tensor(states), tf.convert_to_tensor(matrix)
    if not trains:
        losses, hits = loss.forward(states, matrix, gradient=False)
        return losses, hits

    @tf.custom_gradient
    def run(h: Any, W: Any) -> tuple[Any, Any]:
        losses, hits, dh, log_z = loss.forward(h, W, gradient=True)

        def gradient(upstream: Any, _: Any) -> tuple[Any, Any]:
            grown = tf.cast(upstream, dh.dtype)[:, None] * dh
            if not matrix_trains:
                return grown, None
            return grown, loss.matrix_gradient(h, W, upstream, log_z)

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
        self.labels, self.vocabulary = tf.cast(labels, tf.int32), vocabulary
        self.count = tf.shape(labels)[0]
        self.size = chunk or _even_size(self.count, _CHUNK_VALUES // vocabulary)
        self.chunks = -(-self.count // self.size)
        self.smoothing, self.z_loss = smoothing, z_loss

    def _split(self, values: Any) -> Any:
        """Returns shape (chunks, size, …), with the last chunk padded with zeros."""
        missing = self.chunks * self.size - self.count
        padded = tf.pad(values, [[0, missing], *[[0, 0]] * (values.shape.rank - 1)])
        return tf.reshape(padded, (self.chunks, self.size, *values.shape[1:]))

    def _joined(self, parts: Any) -> Any:
        return tf.reshape(parts, (-1, *parts.shape[2:]))[: self.count]

    def forward(self, h: Any, W: Any, gradient: bool) -> tuple[Any, ...]:
        """Returns losses and hits; on request also the states' gradients and log Z."""
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
            return losses, hits, tf.matmul(d, kernel), log_z

        kinds = (tf.float32, tf.float32, h.dtype, tf.float32)[: 4 if gradient else 2]
        outputs = _map(chunk, (self._split(h), self._split(self.labels)), kinds)
        return tuple(map(self._joined, outputs))

    def _losses(self, logits: Any, log_z: Any, right: Any) -> Any:
        losses = log_z - (1 - self.smoothing) * right
        if self.smoothing:
            losses -= self.smoothing * tf.reduce_mean(logits, axis=-1)
        return losses + self.z_loss * log_z**2 if self.z_loss else losses

    def _for_logits(self, d: Any, log_z: Any, ids: Any, first: Any = 0) -> Any:
        """Returns the gradient of each loss for its logits, (1+2ζ·log Z)·p - q.

        Args:
            d: p of the ids, starting with `first`, shape (tokens, ids).
            log_z: Shape (tokens,).
            ids: The labels, shape (tokens,).
            first: Defaults to 0.
        """
        if self.z_loss:
            d *= (1 + 2 * self.z_loss * log_z)[:, None]
        if self.smoothing:
            d -= self.smoothing / self.vocabulary
        columns, width = ids - first, tf.shape(d)[1]
        is_here = (columns >= 0) & (columns < width)
        share = tf.cast(is_here, tf.float32) * (1 - self.smoothing)
        columns = tf.clip_by_value(columns, 0, width - 1)
        places = tf.stack([tf.range(tf.shape(ids)[0]), columns], axis=1)
        return tf.tensor_scatter_nd_sub(d, places, share)

    def matrix_gradient(self, h: Any, W: Any, upstream: Any, log_z: Any) -> Any:
        """Returns the gradient of Σ upstream·loss for W."""
        kernel = tf.cast(W, h.dtype)
        weighted = tf.cast(tf.cast(h, tf.float32) * upstream[:, None], h.dtype)
        # As many steps as there are chunks, so that the logits take the same memory.
        rows = -(-self.vocabulary // tf.maximum(self.chunks, 1))

        def part(first: Any) -> Any:
            # Beyond the end the last row is repeated, and its results are cut off:
            # taking the first rows of an array makes no copy.
            places = tf.minimum(first + tf.range(rows), self.vocabulary - 1)
            some = tf.gather(kernel, places)
            logits = tf.cast(tf.matmul(h, some, transpose_b=True), tf.float32)
            p = tf.exp(logits - log_z[:, None])
            d = tf.cast(self._for_logits(p, log_z, self.labels, first), h.dtype)
            return tf.matmul(d, weighted, transpose_a=True)

        parts = _map(part, tf.range(0, self.vocabulary, rows), h.dtype)
        whole = tf.reshape(parts, (-1, W.shape[1]))[: self.vocabulary]
        return tf.ensure_shape(tf.cast(whole, W.dtype), W.shape)


def _even_size(count: Any, most: int) -> Any:
    """Returns a size for chunks of equal size that leaves little padding."""
    chunks = tf.maximum(-(-count // max(64, most)), 1)
    return tf.maximum(-(-count // chunks), 1)


def _softmax(logits: Any, best: Any) -> tuple[Any, Any]:
    """Returns p and log Z from the logits and the largest of each row.

    log Z is computed from the largest p, which is never 0. A separate sum of
    exponentials would read the logits three more times.
    """
    p = tf.nn.softmax(logits)
    return p, best - tf.math.log(tf.reduce_max(p, axis=-1))


def _map(function: Callable[[Any], Any], parts: Any, kinds: Any) -> Any:
    """Applies a function to each chunk, one chunk at a time."""
    return tf.map_fn(function, parts, fn_output_signature=kinds, parallel_iterations=1)
