"""Layer normalization against the formula in float64, and Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.layers import spots
from tfft.compute.norm import OWN_NORM, layer_norm
from tfft.compute.speed import speed_up

EPSILON = 1e-3


def right(x, gamma, beta):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return gamma * centred / deviation + beta


@pytest.fixture(scope="module")
def case():
    random = np.random.default_rng(0)
    x, upstream = (random.normal(3, 2, (2, 3, 7)) for _ in range(2))
    return x, random.normal(size=7), random.normal(size=7), upstream


def test_values_and_gradients_are_those_of_the_formula(case):
    *inputs, upstream = case
    given = [tf.constant(one) for one in inputs]
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = layer_norm(*given, EPSILON)
    found = tape.gradient(y, given, tf.constant(upstream))
    np.testing.assert_allclose(y, right(*inputs), rtol=0, atol=1e-12)
    for place, (one, gradient) in enumerate(zip(inputs, found, strict=True)):
        for index in np.ndindex(one.shape):
            step = np.zeros_like(one)
            step[index] = 1e-6
            sides = [
                (upstream * right(*inputs[:place], one + sign * step,
                                  *inputs[place + 1 :])).sum()
                for sign in (1, -1)
            ]  # fmt: skip
            slope = (sides[0] - sides[1]) / 2e-6
            # 1e-7: the rounding of float64 over a difference of 2e-6.
            assert float(gradient[index]) == pytest.approx(slope, abs=1e-7)


def test_bfloat16_is_rounded_once(case):
    x, gamma, beta, _ = case
    rounded = tf.cast(x, tf.bfloat16)
    found = layer_norm(
        rounded, tf.cast(gamma, tf.float32), tf.cast(beta, tf.float32), EPSILON
    )
    assert found.dtype == tf.bfloat16
    exact = right(rounded.numpy().astype("float64"), gamma, beta)
    # Half a step of bfloat16, and what float32 adds to it.
    np.testing.assert_allclose(
        found.numpy().astype("float64"), exact, rtol=2**-8 * 1.001, atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_layer_computes_as_before(case, dtype):
    x, gamma, beta, upstream = case
    layer = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=dtype)
    layer.build(x.shape)
    layer.set_weights([gamma, beta])
    given = tf.cast(x, layer.compute_dtype)
    found = []
    for changed in (False, True):
        if changed:
            speed_up(keras.Sequential([keras.Input(x.shape[1:]), layer]), [OWN_NORM])
            assert "call" in vars(layer)
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = layer(given)
        parts = [given, *[variable.value for variable in layer.trainable_variables]]
        found.append([y, *tape.gradient(y, parts, tf.cast(upstream, y.dtype))])
    # Sums in another order; bfloat16 outputs have steps of 2^-8.
    tolerance = 1e-5 if dtype == "float32" else 2**-7
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        pair = (tf.cast(each, tf.float32) for each in (other, one))
        np.testing.assert_allclose(*pair, rtol=tolerance, atol=tolerance)


def test_only_norms_over_the_last_axis_are_changed(make_backbone):
    others = [
        keras.layers.LayerNormalization(axis=1),
        keras.layers.LayerNormalization(center=False),
        keras.layers.LayerNormalization(scale=False),
    ]
    speed_up(keras.Sequential([keras.Input((3, 7)), *others]), [OWN_NORM])
    assert not any("call" in vars(layer) for layer in others)
    backbone = make_backbone()
    speed_up(backbone, [OWN_NORM])
    norms = [
        spot.layer
        for spot in spots(backbone)
        if isinstance(spot.layer, keras.layers.LayerNormalization)
    ]
    assert len(norms) == 1 + 2 * backbone.num_layers
    assert all("call" in vars(layer) for layer in norms)
