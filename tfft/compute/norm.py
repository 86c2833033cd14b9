"""Layer normalization with its own gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfft.compute.fast_form import fast_method
from tfft.compute.forward_only import is_forward_only
from tfft.compute.precision import wide


def layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Returns γ·x̂ + β over the last axis (Ba et al., 2016, arXiv:1607.06450).

    x̂ = (x - mean)/√(variance + ε), in float32 or wider, whatever the dtype of x. The
    gradient follows its formula: TensorFlow's, computed operation by operation, takes
    one and a half times as many passes over the states.

    Args:
        x: Shape (..., size).
        gamma: γ, shape (size,).
        beta: β, shape (size,).
        epsilon: ε, added to the variance.

    Returns:
        Same shape and dtype as x.

    >>> import tensorflow as tf
    >>> layer_norm(tf.constant([[1.0, 3.0]]), tf.ones(2), tf.zeros(2), 0.0).numpy()
    array([[-1.,  1.]], dtype=float32)
    """
    import tensorflow as tf

    # TensorFlow never frees a function with a custom gradient, nor its graph.
    if is_forward_only():
        normed, _ = _normed(x, epsilon)
        return tf.cast(normed * gamma + beta, x.dtype)

    @tf.custom_gradient
    def run(x: Any, gamma: Any, beta: Any) -> tuple[Any, Callable[[Any], Any]]:
        normed, scale = _normed(x, epsilon)

        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            upstream = wide(upstream)
            along = upstream * gamma
            mean = tf.reduce_mean(along, axis=-1, keepdims=True)
            share = tf.reduce_mean(along * normed, axis=-1, keepdims=True)
            slope = (along - mean - normed * share) * scale
            axes = tf.range(tf.rank(x) - 1)
            return (
                tf.cast(slope, x.dtype),
                tf.reduce_sum(upstream * normed, axis=axes),
                tf.reduce_sum(upstream, axis=axes),
            )

        return tf.cast(normed * gamma + beta, x.dtype), gradient

    return run(x, gamma, beta)


def _normed(x: Any, epsilon: float) -> tuple[Any, Any]:
    """Returns x̂ and 1/√(variance + ε)."""
    import tensorflow as tf

    states = wide(x)
    centered = states - tf.reduce_mean(states, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True)
    scale = tf.math.rsqrt(variance + epsilon)
    return centered * scale, scale


def _is_plain(layer: Any) -> bool:
    """Returns whether a layer is Keras' own norm over the last axis, with γ and β."""
    import keras

    if type(layer) is not keras.layers.LayerNormalization:
        return False
    last = layer.axis in (-1, [-1])
    return last and layer.center and layer.scale and not layer.rms_scaling


def _compute(self: Any, inputs: Any) -> Any:
    """Replaces `LayerNormalization.call`."""
    import tensorflow as tf

    x = tf.convert_to_tensor(inputs)
    weights = (one.value for one in (self.gamma, self.beta))
    gamma, beta = (tf.cast(one, wide(x).dtype) for one in weights)
    return tf.cast(layer_norm(x, gamma, beta, self.epsilon), self.compute_dtype)


OWN_NORM = fast_method(_is_plain, _compute)
