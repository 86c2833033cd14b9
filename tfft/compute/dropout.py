"""Dropout that draws one byte for each value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfft.compute.fast_form import fast_method
from tfft.compute.processor import is_for_processor

# Largest difference between chance and rate, as a fraction of the rarer outcome.
_CLOSE = 0.05


def dropout(x: Any, rate: float, seed: Any) -> Any:
    """Returns x with random values set to 0 (Srivastava et al., 2014, JMLR 15).

    The remaining values are scaled up to keep the expectation. On a CPU most of the
    time goes into random numbers: TensorFlow draws 32 bits for each value, even for
    16-bit values. Here one byte decides, so the chance is the rate rounded to 1/256.
    Where that is too coarse, two bytes decide and it is rounded to 1/65,536.

    Args:
        x: A tensor of any shape and float dtype.
        rate: At least 0 and below 1.
        seed: Shape (2,), int32 or int64; the same seed drops the same values.

    Returns:
        Shape and dtype of x.

    >>> import tensorflow as tf
    >>> from tfft.compute.processor import for_processor
    >>> with for_processor():
    ...     dropout(tf.ones(8), 0.5, [1, 2]).numpy()
    array([0., 0., 2., 0., 2., 2., 2., 0.], dtype=float32)
    """
    import tensorflow as tf

    if not is_for_processor():
        return tf.nn.experimental.stateless_dropout(x, rate, seed)
    bits, limit = _limit(rate)
    scale = 2**bits / (2**bits - limit)

    @tf.custom_gradient
    def run(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        # The gradient needs only one byte for each value.
        kept = _draws(tf.shape(x), bits, seed) >= limit

        def scaled(values: Any) -> Any:
            factors = tf.cast(kept, values.dtype) * tf.cast(scale, values.dtype)
            return tf.ensure_shape(values * factors, x.shape)

        return scaled(x), scaled

    return run(tf.convert_to_tensor(x))


def next_seed(layer: Any) -> Any:
    """Returns the next seed from a dropout layer's random state, shape (2,)."""
    import tensorflow as tf

    return tf.cast(layer.seed_generator.next(), tf.int32)


def _limit(rate: float) -> tuple[int, int]:
    """Returns the number of bits to draw and the limit below which to drop."""
    limit = round(rate * 2**8)
    if abs(limit / 2**8 - rate) <= _CLOSE * min(rate, 1 - rate):
        return 8, limit
    return 16, min(round(rate * 2**16), 2**16 - 1)


def _draws(shape: Any, bits: int, seed: Any) -> Any:
    """Returns uniform random integers with that many bits."""
    import tensorflow as tf

    size, each = tf.reduce_prod(shape), 32 // bits
    words = tf.random.stateless_uniform(
        [(size + each - 1) // each], seed, minval=None, maxval=None, dtype=tf.uint32
    )
    parts = tf.bitcast(words, tf.uint8 if bits == 8 else tf.uint16)
    return tf.reshape(tf.reshape(parts, [-1])[:size], shape)


def _is_plain(layer: Any) -> bool:
    import keras

    return type(layer) is keras.layers.Dropout and layer.noise_shape is None


def _compute(self: Any, inputs: Any, training: bool = False) -> Any:
    """Replaces `Dropout.call`."""
    if not training or not self.rate:
        return inputs
    return dropout(inputs, self.rate, next_seed(self))


# The random state of Keras' layer advances as before.
BYTE_DRAWS = fast_method(_is_plain, _compute)
