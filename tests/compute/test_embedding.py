"""Embeddings by rows are Keras' embeddings, without a cast of the table."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.embedding import ROWS_FIRST
from tfft.compute.speed import speed_up

WORDS, SIZE = 50, 4
KINDS = [keras.layers.Embedding, keras.layers.ReversibleEmbedding]


def layer_of(kind, policy="mixed_bfloat16", **options):
    layer = kind(WORDS, SIZE, dtype=policy, **options)
    layer.build()
    return layer


def by_rows(layer):
    speed_up(keras.Sequential([layer]), [ROWS_FIRST])
    return layer


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_and_so_is_the_dtype(kind, policy):
    ids = np.array([[3, 0, 49], [3, 3, 7]])
    layer = layer_of(kind, policy)
    before = layer(ids)
    after = by_rows(layer)(ids)
    assert "call" in vars(layer)
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_is_not_cast_and_its_gradient_is_added_up_in_float32(kind):
    layer = by_rows(layer_of(kind))
    table = layer.embeddings.value
    # 257 ones: bfloat16 has no number between 256 and 258.
    ids = tf.constant([7] * 257 + [1])

    @tf.function
    def gradient(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(ids), "float32"))
        return tf.convert_to_tensor(tape.gradient(loss, table))

    expected = np.zeros((WORDS, SIZE), "float32")
    expected[7], expected[1] = 257, 1
    np.testing.assert_array_equal(gradient(ids), expected)
    graph = gradient.get_concrete_function(ids).graph
    assert not [op for op in graph.get_operations() if op.type == "ResourceGather"]
    casts = [op for op in graph.get_operations() if op.type == "Cast"]
    assert casts
    assert not [op for op in casts if op.outputs[0].shape[0] == WORDS]


def test_reversed_and_quantised_it_stays_keras():
    layer = layer_of(keras.layers.ReversibleEmbedding)
    states = np.random.default_rng(0).normal(size=(2, SIZE)).astype("float32")
    before = layer(states, reverse=True)
    np.testing.assert_array_equal(by_rows(layer)(states, reverse=True), before)
    ids = np.array([[3, 0, 49]])
    twin = layer_of(keras.layers.ReversibleEmbedding)
    twin.set_weights(layer.get_weights())
    for one in (layer, twin):
        one.quantize("int8")
    np.testing.assert_array_equal(layer(ids), twin(ids))


def test_keras_own_lora_counts():
    layer = by_rows(layer_of(keras.layers.Embedding, "float32"))
    ids = np.array([[3, 0, 49]])
    before = np.array(layer(ids))
    layer.enable_lora(2)
    layer.lora_embeddings_b.assign(np.ones((2, SIZE)))
    update = layer.lora_embeddings_a.numpy()[ids].sum(axis=-1, keepdims=True)
    # 1e-6: float32 sums in another order.
    np.testing.assert_allclose(layer(ids), before + update, rtol=0, atol=1e-6)


def test_a_value_that_stands_in_for_the_table_is_read():
    layer = by_rows(layer_of(keras.layers.ReversibleEmbedding))
    ids = np.array([[3, 0, 49]])
    other = np.arange(WORDS * SIZE, dtype="float32").reshape(WORDS, SIZE)
    with keras.StatelessScope() as scope:
        scope.add_update((layer.embeddings, tf.constant(other)))
        found = layer(ids)
    np.testing.assert_array_equal(found, tf.cast(other[ids], "bfloat16"))
    assert np.abs(layer(ids)).max() < 1  # and the table is what it was


def test_a_layer_that_masks_is_left_alone():
    layer = by_rows(layer_of(keras.layers.Embedding, mask_zero=True))
    assert "call" not in vars(layer)
