"""The numbers of LoRADense and LoRAEinsumDense, against NumPy in float64."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.einsum import contracted_axes
from tfft.core.errors import ConfigError
from tfft.methods.layers.lora import LoRADense, LoRAEinsumDense

activations = pytest.mark.parametrize("activation", ["linear", "tanh", "gelu"])


def gradients(layer, x, upstream):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.constant(upstream) * layer(x))
    return [
        np.array(gradient)
        for gradient in tape.gradient(loss, [layer.lora_a.value, layer.lora_b.value])
    ]


@activations
@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed_bfloat16"])
def test_starts_as_the_wrapped_layer_bit_for_bit(case, activation, dtype):
    x = case.x("float32")
    plain = case.plain(activation, dtype)(x)
    adapted = case.adapted(activation, dtype, trained=False)(x)
    np.testing.assert_array_equal(np.array(adapted), np.array(plain))


@activations
def test_output_is_that_of_numpy_with_the_activation_after_the_sum(case, activation):
    layer, x = case.adapted(activation), case.x()
    expected = case.oracle(layer, activation=activation)(case.rows(x))
    output = layer(x)
    assert tuple(output.shape) == (2, 3, *case.outputs)
    # 1e-6: A and B are float32, whose products NumPy forms in float64.
    np.testing.assert_allclose(case.rows(output), expected, rtol=0, atol=1e-6)


@activations
def test_gradients_of_a_and_b_are_the_analytic_and_the_numerical_ones(case, activation):
    layer, x = case.adapted(activation), case.x()
    upstream = np.random.default_rng(6).normal(0, 1, (2, 3, *case.outputs))
    oracle = case.oracle(layer, activation=activation)
    rows, rows_up = case.rows(x), case.rows(upstream)
    found = gradients(layer, x, upstream)
    # 1e-5: the gradients are of order 10 and come back in float32.
    for ours, analytic in zip(found, oracle.gradients(rows, rows_up), strict=True):
        assert np.abs(analytic).max() > 1e-2
        np.testing.assert_allclose(ours, analytic, rtol=1e-6, atol=1e-5)
    for ours, name in zip(found, ("a", "b"), strict=True):
        numerical = oracle.differences(rows, rows_up, name)
        np.testing.assert_allclose(ours, numerical, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({"rank": 3, "alpha": 6.0}, 2.0),
        ({"rank": 3, "alpha": 1.5}, 0.5),
        ({"rank": 2, "alpha": 6.0}, 3.0),
        ({"rank": 4, "alpha": 6.0, "use_rslora": True}, 3.0),
        ({"rank": 2, "alpha": 6.0, "use_rslora": True}, 6.0 / np.sqrt(2)),
    ],
)
def test_alpha_rank_and_rslora_scale_the_update(case, options, scale):
    layer, x = case.adapted(**options), case.x()
    assert layer.lora_a.shape[1] == layer.lora_b.shape[0] == options["rank"]
    expected = case.oracle(layer, scale)(case.rows(x))
    # 1e-6: float32 weights in float64 sums.
    np.testing.assert_allclose(case.rows(layer(x)), expected, rtol=0, atol=1e-6)


def test_dropout_drops_inputs_of_the_branch_in_training_only(case):
    layer, x = case.adapted(dropout=0.5), case.x()
    oracle = case.oracle(layer)
    # 1e-6: as above.
    for calm in (layer(x), layer(x, training=False)):
        np.testing.assert_allclose(
            case.rows(calm), oracle(case.rows(x)), rtol=0, atol=1e-6
        )
    layer.lora_b.assign(np.zeros(layer.lora_b.shape))
    trained, plain = layer(x, training=True), layer.layer(x)
    np.testing.assert_array_equal(np.array(trained), np.array(plain))


def test_dropout_keeps_inputs_scaled_up_or_drops_them_whole(case):
    x = case.x()
    size = int(np.prod(case.inputs))
    layer = case.adapted(dropout=0.25, rank=size, alpha=float(size))
    layer.lora_a.assign(np.eye(size))
    b = np.array(layer.lora_b, "float64")
    change = case.rows(layer(x, training=True)) - case.rows(layer.layer(x))
    masks = np.array(list(itertools.product([0.0, 1.0], repeat=size)))
    for row, moved in zip(case.rows(x), change, strict=True):
        errors = np.abs(masks * row / 0.75 @ b - moved).max(axis=1)
        assert errors.min() < 1e-6  # float32 weights
    assert np.abs(change - case.rows(x) @ b).max() > 1e-2


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_adapter_weights_are_float32_over_a_bfloat16_layer(case, policy):
    layer = case.adapted(dtype=policy)
    assert [v.dtype for v in layer.adapter_variables] == ["float32", "float32"]
    assert layer.layer.kernel.dtype == (
        "bfloat16" if policy == "bfloat16" else "float32"
    )
    x = case.x("float32")
    output = layer(x)
    assert output.dtype == "bfloat16"
    # bfloat16 has 8 bits: 2^-8 of values up to about 8, summed in some places.
    expected = case.oracle(layer)(case.rows(x))
    np.testing.assert_allclose(case.rows(output), expected, rtol=0.02, atol=0.06)
    upstream = np.ones(output.shape, "float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(upstream * tf.cast(layer(x), "float32"))
    pair = tape.gradient(loss, [v.value for v in layer.adapter_variables])
    assert [gradient.dtype for gradient in pair] == [tf.float32, tf.float32]


def test_only_a_and_b_train(case):
    layer = case.adapted()
    assert [v.path for v in layer.trainable_variables] == [
        "query/lora_a",
        "query/lora_b",
    ]
    assert not layer.layer.trainable_variables


def test_a_starts_uniform_within_one_over_root_in_and_follows_the_seed(case):
    layer, twin, other = (
        case.adapted(trained=False, rank=400, seed=seed) for seed in (1, 1, 2)
    )
    a = np.array(layer.lora_a)
    bound = 1 / np.sqrt(np.prod(case.inputs))
    assert np.abs(a).max() <= bound
    # A uniform variable's standard deviation; 2,400 draws know it to about 1 %.
    np.testing.assert_allclose(a.std(), bound / np.sqrt(3), rtol=0.05)
    np.testing.assert_array_equal(np.array(twin.lora_a), a)
    assert np.abs(np.array(other.lora_a) - a).max() > 0.1
    assert not np.array(layer.lora_b).any()


@pytest.mark.parametrize(
    "equation", ["ab,bc->ca", "abc,dce->abde", "ab,ab->ab", "abc,bd->acd"]
)
def test_another_einsum_is_refused(equation):
    with pytest.raises(ConfigError, match="einsum equation") as caught:
        LoRAEinsumDense(keras.layers.EinsumDense(equation, (None, 4)))
    assert equation in caught.value.what
    with pytest.raises(ConfigError):
        contracted_axes(equation)


def test_dense_takes_any_number_of_leading_axes():
    layer = LoRADense(keras.layers.Dense(4, use_bias=False), rank=2)
    layer.build((None, 3))
    layer.lora_b.assign(np.ones((2, 4)))
    x = np.random.default_rng(0).normal(0, 1, (2, 1, 5, 3)).astype("float32")
    kernel = np.array(layer.layer.kernel, "float64")
    merged = kernel + 8.0 * np.array(layer.lora_a, "float64") @ np.ones((2, 4))
    # 1e-5: float32 sums of three products of order 10.
    np.testing.assert_allclose(np.array(layer(x)), x @ merged, rtol=1e-5, atol=1e-5)
