"""Dropout by bytes drops by the rate's chance, evenly, and repeatably."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.dropout import BYTE_DRAWS, dropout
from tfft.compute.layers import spots
from tfft.compute.processor import for_processor
from tfft.compute.speed import speed_up

SHAPE = (40, 50, 101)
SIZE = np.prod(SHAPE)


def dropped(rate, seed=(1, 2), dtype="float32", shape=SHAPE):
    with for_processor():
        return dropout(tf.ones(shape, dtype), rate, seed).numpy()


@pytest.mark.parametrize(
    ("rate", "chance"),
    [
        (0.1, 26 / 256),
        (0.5, 128 / 256),
        (0.9, 230 / 256),
        # Bytes would make these 1/256, and all.
        (0.002, 131 / 65536),
        (0.999, 65470 / 65536),
    ],
)
def test_values_are_dropped_by_the_nearest_chance_and_the_rest_scaled(rate, chance):
    values = dropped(rate)
    kept = values[values != 0]
    np.testing.assert_array_equal(kept, np.float32(1 / (1 - chance)))
    # Four standard deviations of a binomial share.
    spread = 4 * (chance * (1 - chance) / SIZE) ** 0.5
    assert 1 - kept.size / SIZE == pytest.approx(chance, abs=spread)


def test_each_value_is_drawn_by_itself():
    gone = (dropped(0.25) == 0).astype("float64") - 0.25
    # The four bytes of a word, the rows, and what lies further apart.
    for axis in range(3):
        for lag in (1, 2, 3, 4, 16):
            near = np.roll(gone, lag, axis) * gone
            # Four standard deviations of a mean of products of variance (p·(1-p))².
            assert abs(near.mean()) < 4 * 0.25 * 0.75 / SIZE**0.5


def test_a_seed_says_what_is_dropped_whatever_the_dtype():
    values = dropped(0.1)
    np.testing.assert_array_equal(values, dropped(0.1))
    half = dropped(0.1, dtype="bfloat16")
    assert half.dtype == tf.bfloat16.as_numpy_dtype
    np.testing.assert_array_equal(values == 0, half == 0)
    # Two independent draws differ in 2·p·(1-p) of the places.
    differ = ((values == 0) != (dropped(0.1, seed=(1, 3)) == 0)).mean()
    assert differ == pytest.approx(2 * 0.1016 * 0.8984, abs=0.01)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0, 5), (2, 3, 5)])
def test_any_shape_is_drawn_for(shape):
    values = dropped(0.5, shape=shape)
    assert values.shape == shape
    assert np.isin(values, [0, 2]).all()


def test_gradients_pass_where_values_did():
    x = tf.constant(np.random.default_rng(0).normal(size=SHAPE), tf.float32)
    upstream = tf.reverse(x, [0])

    @tf.function(input_signature=[tf.TensorSpec([None, None, 101])])
    def both(x):
        with for_processor(), tf.GradientTape() as tape:
            tape.watch(x)
            y = dropout(x, 0.3, [5, 6])
        assert y.shape.as_list() == [None, None, 101]
        return y, tape.gradient(y, x, upstream)

    y, gradient = both(x)
    factors = dropped(0.3, seed=(5, 6))
    np.testing.assert_allclose(y, x * factors, rtol=1e-6)
    np.testing.assert_allclose(gradient, upstream * factors, rtol=1e-6)


def test_elsewhere_tensorflow_draws():
    x = tf.ones(SHAPE)
    right = tf.nn.experimental.stateless_dropout(x, 0.1, [1, 2])
    np.testing.assert_array_equal(dropout(x, 0.1, [1, 2]), right)


def layer_of(rate=0.1, **options):
    return keras.layers.Dropout(rate, seed=4, **options)


def test_a_layer_draws_bytes_by_its_own_random_state():
    layer, plain, x = layer_of(), layer_of(), tf.ones(SHAPE)
    BYTE_DRAWS.apply(layer)
    with for_processor():
        first, second = (layer(x, training=True).numpy() for _ in range(2))
    seeds = [tf.cast(plain.seed_generator.next(), tf.int32) for _ in range(2)]
    np.testing.assert_array_equal(first, dropped(0.1, seed=seeds[0]))
    np.testing.assert_array_equal(second, dropped(0.1, seed=seeds[1]))
    np.testing.assert_array_equal(layer(x), x)


def test_only_keras_own_dropout_without_a_noise_shape_is_changed():
    class Other(keras.layers.Dropout):
        pass

    others = [layer_of(noise_shape=(1, 50, 101)), Other(0.1, seed=4)]
    for layer in others:
        BYTE_DRAWS.apply(layer)
        assert "call" not in vars(layer)


def test_every_dropout_below_a_backbone_is_changed(make_backbone):
    backbone = make_backbone(dropout=0.1)
    speed_up(backbone, [BYTE_DRAWS])
    found = [
        spot.layer
        for spot in spots(backbone)
        if isinstance(spot.layer, keras.layers.Dropout)
    ]
    # Of the embeddings; of the weights, the outputs and the second matrix of each.
    assert len(found) == 1 + 3 * backbone.num_layers
    assert all("call" in vars(layer) for layer in found)
