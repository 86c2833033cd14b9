"""DoRA, PiSSA and LoRA+ against NumPy; LoRA over quantised layers."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfft
from tfft.core.errors import ConfigError
from tfft.methods.layers.lora import lora_around
from tfft.methods.layers.matrix import Matrix


def double(value):
    return np.array(value).astype("float64")


def quantised(backbone, mode):
    """Quantises what can be; Keras warns of the layers that cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone.quantize(mode)
    return backbone


def dora(layer, case, scale):
    """Returns the magnitudes' matrix and bias by the paper's formula, in float64."""
    size_in, size_out = np.prod(case.inputs), np.prod(case.outputs)
    W = double(layer.layer.kernel).reshape(size_in, size_out)
    V = W + scale * double(layer.lora_a) @ double(layer.lora_b)
    norms = np.linalg.norm(V, axis=0)
    bias = double(layer.layer.bias).reshape(size_out)
    return double(layer.magnitude) / norms * V, norms, bias


@pytest.mark.parametrize("initialization", ["uniform", "pissa"])
def test_dora_is_magnitude_over_norm_times_the_direction(case, initialization):
    layer = case.adapted(use_dora=True, initialization=initialization)
    x = case.x()
    layer.magnitude.assign(double(layer.magnitude) * 1.3)
    if initialization == "uniform":
        weight, _, bias = dora(layer, case, 2.0)
        # 1e-5: A, B and magnitudes are float32, outputs of order 10.
        expected = case.rows(x) @ weight + bias
        np.testing.assert_allclose(case.rows(layer(x)), expected, 0, 1e-5)
    before = np.array(layer(x))
    layer.merge()
    np.testing.assert_allclose(np.array(layer(x)), before, 0, 1e-5)
    alone = np.array(layer.layer(x))
    np.testing.assert_allclose(alone, before, 0, 1e-5)


def test_dora_takes_no_gradient_through_the_norm(case):
    layer, x = case.adapted(use_dora=True), case.x()
    upstream = np.random.default_rng(6).normal(0, 1, (2, 3, *case.outputs))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.constant(upstream) * layer(x))
    a, b, m = tape.gradient(loss, [v.value for v in layer.adapter_variables])
    _, norms, _ = dora(layer, case, 2.0)
    rows, up = case.rows(x), case.rows(upstream)
    down = up * double(layer.magnitude) / norms
    A, B = double(layer.lora_a), double(layer.lora_b)
    V = double(layer.layer.kernel).reshape(len(A), -1) + 2 * A @ B
    # 1e-4: gradients of order 10, in float32.
    np.testing.assert_allclose(a, 2 * rows.T @ down @ B.T, 1e-5, 1e-4)
    np.testing.assert_allclose(b, 2 * (rows @ A).T @ down, 1e-5, 1e-4)
    expected = np.sum(up * (rows @ V) / norms, axis=0)
    np.testing.assert_allclose(m, expected, 1e-5, 1e-4)


def test_pissa_starts_at_the_principal_directions_and_adds_what_moved(case):
    layer, x = case.adapted(initialization="pissa", trained=False), case.x()
    W = double(layer.layer.kernel).reshape(layer.lora_a.shape[0], -1)
    U, S, V = np.linalg.svd(W, full_matrices=False)
    principal = U[:, :3] * S[:3] @ V[:3]
    A, B = double(layer.lora_a), double(layer.lora_b)
    # 1e-5: the factors are float32.
    np.testing.assert_allclose(2 * A @ B, principal, 0, 1e-5)
    np.testing.assert_array_equal(np.array(layer(x)), np.array(layer.layer(x)))
    layer.lora_b.assign(1.5 * B)
    bias = double(layer.layer.bias).reshape(-1)
    expected = case.rows(x) @ (W + 0.5 * principal) + bias
    np.testing.assert_allclose(case.rows(layer(x)), expected, 0, 1e-5)


def test_pissa_of_a_rank_above_the_kernels_keeps_the_identity():
    layer = lora_around(keras.layers.Dense(3), rank=7, initialization="pissa")
    layer.build((None, 4))
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(layer(x), layer.layer(x))


def test_lora_plus_hands_over_a_learning_rate_for_b_alone(backbone):
    adapter = tfft.apply(backbone, tfft.LoRA(loraplus_lr_ratio=16)).adapter
    b = {v.path for v in adapter.variables if v.name == "lora_b"}
    assert adapter.learning_rate_multipliers == dict.fromkeys(b, 16.0)
    assert len(b) == 4


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantised_backbone_takes_float32_adapters(make_backbone, make_batch, mode):
    backbone = quantised(make_backbone(num_layers=1), mode)
    batch = {key: make_batch()[key] for key in backbone.input}
    before = np.array(backbone(batch)["sequence_output"])
    method = tfft.LoRA(rank=2, target="all-linear")
    applied = tfft.apply(backbone, method)
    layers = [one.layer for one in applied.adapter.injected]
    kernels = [np.array(layer.base._kernel) for layer in layers]
    assert {kernel.dtype.name for kernel in kernels} == {"int8"}
    assert {v.dtype for v in applied.variables} == {"float32"}
    np.testing.assert_array_equal(backbone(batch)["sequence_output"], before)
    trained = backbone.trainable_variables
    assert {v.path for v in trained} == {v.path for v in applied.variables}
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(trained)
    target = np.random.default_rng(1).normal(0, 1, before.shape).astype("float32")
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            states = backbone(batch, training=True)["sequence_output"]
            loss = tf.reduce_mean((states - target) ** 2)
        optimizer.apply(tape.gradient(loss, [v.value for v in trained]), trained)
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    for layer, kernel in zip(layers, kernels, strict=True):
        np.testing.assert_array_equal(np.array(layer.base._kernel), kernel)
    moved = np.array(backbone(batch)["sequence_output"])
    with pytest.raises(ConfigError, match=f"is quantized to {mode}"):
        applied.merge()
    np.testing.assert_array_equal(backbone(batch)["sequence_output"], moved)
    with applied.disable():
        np.testing.assert_array_equal(backbone(batch)["sequence_output"], before)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantised_kernel_is_read_as_the_layer_computes_with_it(mode):
    layer = keras.layers.EinsumDense("abcd,cde->abe", (None, 8), bias_axes="e")
    layer.build((None, None, 2, 4))
    layer.bias.assign(np.ones(8))
    kernel = np.array(layer.kernel).reshape(8, 8)
    layer.quantize(mode)
    steps = {"int8": 127, "int4": 7}[mode]
    found = np.array(Matrix(layer).kernel())
    assert found.shape == (8, 8)
    # Half a step of the quantisation, whose range is the largest weight.
    step = np.abs(kernel).max() / steps
    np.testing.assert_allclose(found, kernel, rtol=0, atol=0.51 * step)


def test_adapters_of_quantised_kernels_that_need_their_values(
    make_backbone, make_batch
):
    batch = None
    for method in (
        tfft.LoRA(rank=2, use_dora=True, initialization="pissa"),
        tfft.IA3(),
        tfft.Sparse(),
    ):
        backbone = quantised(make_backbone(num_layers=1), "int8")
        batch = batch or {key: make_batch()[key] for key in backbone.input}
        before = np.array(backbone(batch)["sequence_output"])
        tfft.apply(backbone, method)
        after = np.array(backbone(batch)["sequence_output"])
        np.testing.assert_array_equal(after, before)
