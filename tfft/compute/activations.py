"""Activation functions by their Hugging Face names, computed fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tfft.compute.fast_form import FastForm
from tfft.compute.forward_only import is_forward_only
from tfft.compute.fused import elementwise
from tfft.compute.processor import is_for_processor
from tfft.core.errors import ConfigError, DataError, one_of, shorten

# For GELU's tanh form: x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2 = x·σ(a·x + b·x³).
_A = 2 * math.sqrt(2 / math.pi)
_B = 0.044715 * _A


def activation(name: str, key: str = "hidden_act") -> Callable[[Any], Any]:
    """Returns the activation function that Hugging Face calls by this name.

    Args:
        name: For example `gelu`, the erf form, or `gelu_new`, the tanh form.
        key: The key in the config that holds the name, for the error message.

    Raises:
        DataError: For an unknown name.
    """
    table = _activations()
    if not isinstance(name, str) or name not in table:
        raise DataError(
            f"{key}={shorten(name)} is not supported",
            where="config.json",
            expected=one_of(table),
            fix="choose another model",
        )
    return table[name]


def activation_name(function: Callable[[Any], Any]) -> str:
    """Returns the Hugging Face name of an activation function, found by its values.

    Raises:
        ConfigError: For a function without a Hugging Face name.

    >>> import keras
    >>> activation_name(keras.activations.gelu), activation_name(keras.ops.relu)
    ('gelu', 'relu')
    """
    for name, known in _activations().items():
        if _agree(known, function):
            return name
    raise ConfigError(
        f"activation {getattr(function, '__name__', function)}",
        expected=one_of(_activations()),
        fix="export a model with one of these activations",
    )


def erf_gelu(x: Any) -> Any:
    """Returns x·Φ(x) (Hendrycks and Gimpel, 2016, arXiv:1606.08415).

    Computed in float32 whatever the dtype of x: a CPU takes 3 times as long in
    bfloat16. The same pass computes the derivative, Φ(x) + x·φ(x), and keeps nothing
    else for the gradient.

    >>> erf_gelu(np.array([-1.0, 0.0, 1.0], "float32")).numpy().round(4).tolist()
    [-0.15870000422000885, 0.0, 0.8413000106811523]
    """
    return _with_slope(_erf_form, x)


def tanh_gelu(x: Any) -> Any:
    """Returns the tanh form of GELU as x·σ(a·x + b·x³), computed in float32.

    >>> tanh_gelu(np.array([-1.0, 0.0, 1.0], "float32")).numpy().round(4).tolist()
    [-0.15880000591278076, 0.0, 0.8411999940872192]
    """
    return _with_slope(_tanh_form, x)


def silu(x: Any) -> Any:
    """Returns x·σ(x), computed in float32, as in Llama's own code.

    >>> silu(np.array([-1.0, 0.0, 1.0], "float32")).numpy().round(4).tolist()
    [-0.2689000070095062, 0.0, 0.7311000227928162]
    """
    return _with_slope(_silu_form, x)


def after_product(function: Callable[[Any], Any], rows: Any) -> Any:
    """Returns function(rows), where rows are a matrix product plus a bias.

    If no gradient follows, GELU is computed with TensorFlow's own operation: oneDNN
    fuses it into the product, before the sums are rounded and written, and converters
    recognize it.

    Args:
        function: An activation function.
        rows: The direct output of `tf.nn.bias_add`.
    """
    import tensorflow as tf

    # If oneDNN does not fuse it, each of its steps is rounded.
    exact = rows.dtype == tf.float32 or is_for_processor()
    if is_forward_only() and exact and function in (erf_gelu, tanh_gelu):
        return tf.nn.gelu(rows, approximate=function is tanh_gelu)
    return function(rows)


def _is_activated(layer: Any) -> bool:
    import keras

    if not isinstance(layer, keras.layers.Dense):
        return False
    return layer.activation not in (None, keras.activations.linear)


def _own_form(layer: Any) -> Callable[[Any], Any]:
    """Returns tfft's GELU if a layer's activation is one, else that activation."""
    for name, known in _activations().items():
        if name.startswith("gelu") and _agree(known, layer.activation):
            return known
    return layer.activation


# Dense layers that end in GELU compute it with `erf_gelu` or `tanh_gelu`.
OWN_GELU = FastForm(_is_activated, "activation", _own_form)


def _agree(one: Callable[[Any], Any], other: Callable[[Any], Any]) -> bool:
    """Returns whether two functions compute the same values."""
    if one is other:
        return True
    points = np.linspace(-4, 4, 81, dtype="float32")
    difference = np.asarray(one(points)) - np.asarray(other(points))
    # The two forms of GELU differ by 5e-4.
    return bool(np.abs(difference).max() < 1e-5)


def _erf_form(x: Any) -> list[Any]:
    """Returns x·Φ(x) and its derivative, in the dtype of x."""
    import tensorflow as tf

    wide = tf.cast(x, tf.float32)
    z = wide * math.sqrt(0.5)
    share = 0.5 + 0.5 * tf.math.erf(z)
    # z² is x²/2. The factor of φ goes into the exponent, which saves a pass.
    density = tf.exp(-0.5 * math.log(2 * math.pi) - tf.square(z))
    return [tf.cast(one, x.dtype) for one in (wide * share, share + wide * density)]


def _tanh_form(x: Any) -> list[Any]:
    """Returns x·σ(a·x + b·x³) and its derivative, in the dtype of x."""
    import tensorflow as tf

    wide = tf.cast(x, tf.float32)
    # With y = 2·a·x and u = a·x + b·x³, x times the derivative of u is 3·u - y. This
    # takes two passes fewer than powers of x.
    y = 2 * _A * wide
    u = y * (0.5 + _B / (8 * _A**3) * tf.square(y))
    share = tf.sigmoid(u)
    slope = share + tf.raw_ops.SigmoidGrad(y=share, dy=3 * u - y)
    return [tf.cast(one, x.dtype) for one in (wide * share, slope)]


def _silu_form(x: Any) -> list[Any]:
    """Returns x·σ(x) and its derivative, in the dtype of x."""
    import tensorflow as tf

    wide = tf.cast(x, tf.float32)
    share = tf.sigmoid(wide)
    slope = share + tf.raw_ops.SigmoidGrad(y=share, dy=wide)
    return [tf.cast(one, x.dtype) for one in (wide * share, slope)]


def _with_slope(form: Callable[[Any], list[Any]], x: Any) -> Any:
    """Returns a function's values with the derivative computed in the same pass.

    Args:
        form: Maps x to values and derivative, in the dtype of x.
        x: A tensor of any float dtype; values and derivative have the same dtype.
    """
    import tensorflow as tf

    # TensorFlow never frees a function with a custom gradient, nor its graph.
    if is_forward_only():
        return elementwise(form, tf.convert_to_tensor(x))[0]

    @tf.custom_gradient
    def run(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        value, slope = elementwise(form, x)
        return value, lambda upstream: upstream * tf.cast(slope, upstream.dtype)

    return run(tf.convert_to_tensor(x))


def _activations() -> dict[str, Callable[[Any], Any]]:
    import keras

    return {
        "gelu": erf_gelu,
        "gelu_new": tanh_gelu,
        "gelu_pytorch_tanh": tanh_gelu,
        "gelu_fast": tanh_gelu,
        "relu": keras.ops.relu,
        "silu": silu,
        "swish": silu,
    }
