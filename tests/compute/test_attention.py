"""Attention by products, and projections by one, are what Keras computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.attention import TWO_PRODUCTS, attend, attend_causally
from tfft.compute.einsum import ONE_MATRIX
from tfft.compute.layers import spots
from tfft.compute.speed import speed_up


def numpy_attention(q, k, v, mask):
    q, k, v = (x.astype("float64").transpose(0, 2, 1, 3) for x in (q, k, v))
    scores = np.where(mask[:, None], q @ k.transpose(0, 1, 3, 2), -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return (shares @ v).transpose(0, 2, 1, 3)


def test_attention_is_the_formula():
    random = np.random.default_rng(0)
    q = random.normal(size=(2, 3, 4, 5)).astype("float32")
    k, v = (random.normal(size=(2, 6, 4, 5)).astype("float32") for _ in range(2))
    mask = random.random((2, 3, 6)) < 0.6
    mask[..., 0] = True
    found = attend(q, k, v, mask)
    expected = numpy_attention(q / 5**0.5, k, v, mask)
    # 1e-6: float32 sums of six values of order 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_heads_share_keys_in_order():
    random = np.random.default_rng(1)
    q = random.normal(size=(2, 3, 4, 5)).astype("float32")
    k, v = (random.normal(size=(2, 3, 2, 5)).astype("float32") for _ in range(2))
    each = (np.repeat(one, 2, axis=2) for one in (k, v))
    np.testing.assert_array_equal(attend(q, k, v), attend(q, *each))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_halves_are_the_whole_with_its_gradients(length, compiled):
    random = np.random.default_rng(2)
    q, k, v = (
        tf.constant(random.normal(size=(2, length, heads, 5)), "float32")
        for heads in (4, 2, 2)
    )
    # Two sequences in a row; a token sees its own, up to itself.
    ids = np.arange(length) > length // 3
    mask = tf.constant((ids[:, None] == ids) & np.tri(length, dtype=bool))
    mask = tf.repeat(mask[None], 2, axis=0)
    given = [tf.TensorSpec((None, None, heads, 5)) for heads in (4, 2, 2)]
    upstream = random.normal(size=(2, length, 4, 5)).astype("float32")
    found = []
    for attention in (attend_causally, attend):
        function = tf.function(
            lambda q, k, v, attention=attention: attention(q, k, v, mask),
            input_signature=given,
            jit_compile=compiled,
        )
        with tf.GradientTape() as tape:
            tape.watch([q, k, v])
            mixed = function(q, k, v)
        found.append([mixed, *tape.gradient(mixed, [q, k, v], upstream)])
    for one, other in zip(*found, strict=True):
        # 1e-6: sums over fewer masked keys, which add exact zeros, in another order.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("change", [TWO_PRODUCTS, ONE_MATRIX])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("training", [False, True])
def test_a_backbone_computes_and_learns_as_before(
    dropout, training, change, make_backbone, make_batch
):
    outputs, gradients = [], []
    batch = make_batch()
    inputs = {k: batch[k] for k in ("token_ids", "segment_ids", "padding_mask")}
    for changed in (False, True):
        backbone = make_backbone(dropout=dropout)
        if changed:
            speed_up(backbone, [change])
        weights = [v.value for v in backbone.trainable_variables]
        with tf.GradientTape() as tape:
            found = backbone(inputs, training=training)["sequence_output"]
            loss = tf.reduce_sum(found**2 * inputs["padding_mask"][..., None])
        outputs.append(np.array(found))
        gradients.append(tape.gradient(loss, weights, unconnected_gradients="zero"))
    # 1e-5: sums in another order; dropout draws the same mask.
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        pair = (np.array(tf.convert_to_tensor(x)) for x in (one, other))
        np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-4)


def test_another_equation_is_left_to_keras():
    layers = [keras.layers.EinsumDense(one, (None, 4)) for one in ("abc,bd->acd",
              "abc,cd->abd")]  # fmt: skip
    speed_up(keras.Sequential([keras.Input((3, 4)), *layers]), [ONE_MATRIX])
    assert ["call" in vars(layer) for layer in layers] == [False, True]


def test_every_projection_of_a_backbone_is_changed(make_backbone):
    backbone = make_backbone()
    speed_up(backbone, [ONE_MATRIX])
    kinds = [
        s.layer for s in spots(backbone) if type(s.layer).__name__ == "EinsumDense"
    ]
    assert len(kinds) == 4 * backbone.num_layers
    assert all("call" in vars(layer) for layer in kinds)


def test_scores_that_are_asked_for_are_given():
    layer = keras.layers.MultiHeadAttention(2, 3)
    x = np.random.default_rng(0).normal(size=(1, 4, 6)).astype("float32")
    _, expected = layer(x, x, return_attention_scores=True)
    speed_up(keras.Sequential([keras.Input((4, 6)), _Around(layer)]), [TWO_PRODUCTS])
    _, found = layer(x, x, return_attention_scores=True)
    np.testing.assert_array_equal(found, expected)
    assert "_compute_attention" in vars(layer)


class _Around(keras.layers.Layer):
    def __init__(self, layer):
        super().__init__()
        self.inner = layer

    def call(self, x):
        return self.inner(x, x)
