"""LoRA layers merged, unmerged, described, trained, saved and loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.core.errors import ConfigError
from tfft.methods.layers.lora import LoRADense, LoRAEinsumDense, lora_around


@pytest.mark.parametrize("activation", ["linear", "gelu"])
def test_merged_layer_computes_the_same(case, activation):
    layer, x = case.adapted(activation), case.x()
    before = np.array(layer(x))
    layer.merge()
    # 1e-6: the merged kernel is rounded to float32 once.
    np.testing.assert_allclose(np.array(layer(x)), before, rtol=0, atol=1e-6)
    # The wrapped layer alone holds the update now; its own activation is linear.
    alone = np.array(layer.activation(layer.layer(x)))
    np.testing.assert_allclose(alone, before, rtol=0, atol=1e-6)


def test_merged_kernel_is_w_plus_s_a_b(case):
    layer = case.adapted()
    oracle = case.oracle(layer)
    expected = oracle.kernel + 2.0 * oracle.a @ oracle.b
    layer.merge()
    merged = np.array(layer.layer.kernel).reshape(expected.shape)
    # 1e-6: the sum is rounded to float32.
    np.testing.assert_allclose(merged, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed_bfloat16", "bfloat16"])
def test_unmerge_restores_every_bit(case, dtype):
    layer, x = case.adapted(dtype=dtype), case.x("float32")
    weights = [np.array(v) for v in layer.weights]
    before = np.array(layer(x))
    layer.merge()
    assert not np.array_equal(np.array(layer.layer.kernel), weights[2])
    layer.unmerge()
    for now, then in zip(layer.weights, weights, strict=True):
        np.testing.assert_array_equal(np.array(now), then)
    np.testing.assert_array_equal(np.array(layer(x)), before)


def test_a_function_traced_before_the_merge_counts_the_update_once(case):
    layer, x = case.adapted(), tf.constant(case.x())
    traced = tf.function(layer)
    before = np.array(traced(x))
    layer.merge()
    np.testing.assert_allclose(np.array(traced(x)), before, rtol=0, atol=1e-6)
    layer.unmerge()
    np.testing.assert_array_equal(np.array(traced(x)), before)
    assert traced.experimental_get_tracing_count() == 1


def test_config_round_trip_gives_the_same_layer(case):
    layer = case.adapted("gelu", dtype="float32", dropout=0.2, use_rslora=True)
    again = type(layer).from_config(layer.get_config())
    again.build((None, None, *case.inputs))
    assert again.get_config() == layer.get_config()
    assert again.scale == pytest.approx(6.0 / np.sqrt(3))
    for mine, theirs in zip(again.weights, layer.weights, strict=True):
        mine.assign(theirs)
    x = case.x("float32")
    np.testing.assert_array_equal(np.array(again(x)), np.array(layer(x)))


def test_describing_a_layer_leaves_it_as_it_is(case):
    layer, x = case.adapted("gelu"), case.x()
    before = np.array(layer(x))
    layer.get_config()
    assert layer.layer.activation is keras.activations.linear
    np.testing.assert_array_equal(np.array(layer(x)), before)


def hand_built_model():
    """Dense, heads apart, heads together: every kind in one functional model."""
    inputs = keras.Input((3, 6))
    x = LoRADense(keras.layers.Dense(8, activation="gelu"), rank=2, seed=0)(inputs)
    x = LoRAEinsumDense(
        keras.layers.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de"),
        rank=2,
        dropout=0.1,
        seed=1,
    )(x)
    x = LoRAEinsumDense(
        keras.layers.EinsumDense("abcd,cde->abe", (None, 5)), rank=2, seed=2
    )(x)
    return keras.Model(inputs, x)


def test_layers_train_under_fit_in_a_model_built_by_hand(tmp_path):
    keras.utils.set_random_seed(0)
    model = hand_built_model()
    generator = np.random.default_rng(0)
    x = generator.normal(0, 1, (32, 3, 6)).astype("float32")
    y = generator.normal(0, 1, (32, 3, 5)).astype("float32")
    frozen = [
        np.array(v) for v in model.non_trainable_variables if "seed" not in v.path
    ]
    trained = [np.array(v) for v in model.trainable_variables]
    assert len(trained) == 6
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse", jit_compile=False)
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    after = [np.array(v) for v in model.non_trainable_variables if "seed" not in v.path]
    for now, then in zip(after, frozen, strict=True):
        np.testing.assert_array_equal(now, then)
    for now, then in zip(model.trainable_variables, trained, strict=True):
        assert not np.array_equal(np.array(now), then), now.path

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())
    assert [v.path.split("/")[-1] for v in loaded.trainable_variables] == [
        "lora_a",
        "lora_b",
    ] * 3


def test_other_kinds_of_layers_are_refused():
    layer = keras.layers.Embedding(3, 4, name="words")
    layer.build(None)
    with pytest.raises(ConfigError, match="words is of type Embedding"):
        lora_around(layer)
