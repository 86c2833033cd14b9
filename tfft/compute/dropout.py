"""Dropout that draws a byte for each value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfft.compute.fast_form import fast_method
from tfft.compute.processor import is_for_processor

# How far the chance may be from the rate, as a share of the rarer of the two outcomes.
_CLOSE = 0.05


def dropout(x: Any, rate: float, seed: Any) -> Any:
    """Returns x with values set to 0 by chance (Srivastava et al., 2014, JMLR 15).

    The others grow such that the expectation stays. On a processor most of the time
    goes into random numbers, of which TensorFlow draws a word of 32 bits for each
    value, also for those of 16 bits. Here a byte of it decides: the chance is the
    rate rounded to 1/256, or to 1/65,536, by two bytes, where that is too coarse.

    Args:
        x: Of any shape and float dtype.
        rate: From 0 up to but not including 1.
        seed: Shape (2,), of int32 or int64; the same seed drops the same values.

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
        # One byte a value is what is kept for the gradient.
        kept = _draws(tf.shape(x), bits, seed) >= limit

        def scaled(values: Any) -> Any:
            factors = tf.cast(kept, values.dtype) * tf.cast(scale, values.dtype)
            return tf.ensure_shape(values * factors, x.shape)

        return scaled(x), scaled

    return run(tf.convert_to_tensor(x))


def next_seed(layer: Any) -> Any:
    """Returns the next seed of a dropout layer's random state, shape (2,)."""
    import tensorflow as tf

    return tf.cast(layer.seed_generator.next(), tf.int32)


def _limit(rate: float) -> tuple[int, int]:
    """Returns how many bits to draw, and below which number to drop."""
    limit = round(rate * 2**8)
    if abs(limit / 2**8 - rate) <= _CLOSE * min(rate, 1 - rate):
        return 8, limit
    return 16, min(round(rate * 2**16), 2**16 - 1)


def _draws(shape: Any, bits: int, seed: Any) -> Any:
    """Returns uniform random numbers of so many bits."""
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
    """Stands in for `Dropout.call`."""
    if not training or not self.rate:
        return inputs
    return dropout(inputs, self.rate, next_seed(self))


# Keras' dropout draws a byte for each value. Its random state advances as before.
BYTE_DRAWS = fast_method(_is_plain, _compute)
