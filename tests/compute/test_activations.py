"""GELU and SiLU against SciPy, and what a backbone gets of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from scipy.stats import norm

from tfft.compute.activations import (
    OWN_GELU,
    activation_name,
    erf_gelu,
    silu,
    tanh_gelu,
)
from tfft.compute.processor import for_processor
from tfft.compute.speed import speed_up


def tanh_form(x):
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


FORMS = [
    (erf_gelu, lambda x: x * norm.cdf(x)),
    (tanh_gelu, tanh_form),
    (silu, lambda x: x * expit(x)),
]


@pytest.mark.parametrize(("ours", "right"), FORMS)
def test_values_and_slopes_are_those_of_the_formula(ours, right):
    x = np.linspace(-9, 9, 401)
    given = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = ours(given)
    slopes = tape.gradient(y, given, 2 * tf.ones_like(given))
    h = 1e-5
    expected = (right(x + h) - right(x - h)) / h  # twice the slope, as upstream says
    # float32 at values up to 9, and at twice a slope of 1.
    np.testing.assert_allclose(y, right(x), rtol=0, atol=2e-6)
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize(("ours", "right"), FORMS)
def test_bfloat16_is_rounded_once(ours, right):
    x = tf.cast(tf.linspace(-4.0, 4.0, 301), tf.bfloat16)
    exact = right(x.numpy().astype("float64"))
    assert ours(x).dtype == tf.bfloat16
    found = ours(x).numpy().astype("float64")
    # Half a step of bfloat16, and what float32 adds to it.
    np.testing.assert_allclose(found, exact, rtol=2**-8 * 1.001, atol=1e-6)


def test_only_gelu_is_replaced_and_by_its_own_form():
    acts = [
        keras.activations.gelu,
        lambda x: keras.activations.gelu(x, approximate=True),
        keras.activations.relu,
        None,
    ]
    layers = [keras.layers.Dense(2, activation=act) for act in acts]
    before = layers[2].activation, layers[3].activation
    speed_up(keras.Sequential([keras.Input((3,)), *layers]), [OWN_GELU])
    found = [layer.activation for layer in layers]
    assert found == [erf_gelu, tanh_gelu, *before]
    assert [activation_name(one) for one in found[:2]] == ["gelu", "gelu_new"]


@pytest.mark.parametrize(("ours", "right"), FORMS)
def test_large_arrays_in_training_have_the_same_values_and_slopes(ours, right):
    x = np.resize(np.linspace(-9, 9, 401), (2**11, 2**10 + 1))
    given = tf.constant(x, tf.float32)
    with for_processor(), tf.GradientTape() as tape:
        tape.watch(given)
        y = ours(given)
    slopes = tape.gradient(y, given)
    expected = (right(x[0, :401] + 1e-5) - right(x[0, :401] - 1e-5)) / 2e-5
    # float32 at values up to 9; XLA has its own exp and erf.
    np.testing.assert_allclose(y, right(x), rtol=0, atol=2e-6)
    np.testing.assert_allclose(slopes[0, :401], expected, rtol=0, atol=3e-6)
