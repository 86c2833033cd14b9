"""Projections by one product are Keras' projections."""

import platform

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.activations import OWN_GELU
from tfft.compute.attention import TWO_PRODUCTS
from tfft.compute.einsum import ONE_MATRIX
from tfft.compute.forward_only import forward_only
from tfft.compute.processor import for_processor
from tfft.compute.speed import speed_up


def test_no_step_forms_a_kernel_for_each_row(make_backbone, make_batch):
    batch = make_batch()
    inputs = {k: batch[k] for k in ("token_ids", "segment_ids", "padding_mask")}
    backbone = make_backbone()
    speed_up(backbone, [TWO_PRODUCTS])
    speed_up(backbone, [ONE_MATRIX])
    kernels = [v for v in backbone.trainable_variables if v.name == "kernel"]
    assert any(len(kernel.shape) == 3 for kernel in kernels)

    @tf.function
    def gradient(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(backbone(inputs)["sequence_output"] ** 2)
        return tape.gradient(loss, [kernel.value for kernel in kernels])

    graph = gradient.get_concrete_function(inputs).graph
    # Kernels have 2 or 3 axes, and so do their gradients until they are reshaped: a
    # product for each row would be added up over the rows.
    products = [op for op in graph.get_operations() if op.type == "BatchMatMulV2"]
    assert products  # attention's
    assert not [op for op in graph.get_operations() if op.type == "Einsum"]
    assert all(op.outputs[0].shape.rank == 4 for op in products)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize(
    ("equation", "shape", "bias"),
    [
        ("abc,cde->abde", (None, 2, 3), "de"),
        ("abc,cde->abde", (None, 2, 3), "e"),
        ("abcd,cde->abe", (None, 5), None),
    ],
)
def test_a_layer_keeps_its_bias_its_activation_and_unknown_lengths(
    equation, shape, bias, activation
):
    x = np.random.default_rng(0).normal(size=(4, 6, 7, 3)[: equation.index(",")])
    layer = keras.layers.EinsumDense(
        equation, shape, bias_axes=bias, activation=activation
    )
    expected = layer(x)
    if bias:
        layer.bias.assign(
            np.arange(float(np.prod(layer.bias.shape))).reshape(layer.bias.shape)
        )
        expected = layer(x)
    speed_up(keras.Sequential([layer]), [ONE_MATRIX])
    assert "call" in vars(layer)
    unknown = tf.TensorSpec([None] * x.ndim, "float32")
    found = tf.function(layer, input_signature=[unknown])(x.astype("float32"))
    # 1e-6: float32 sums in another order.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("use_bias", [False, True])
def test_a_dense_layer_adds_its_bias_to_the_rows_of_one_product(use_bias):
    layer = keras.layers.Dense(5, "tanh", use_bias, bias_initializer="ones")
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    expected = layer(x)
    speed_up(keras.Sequential([layer]), [ONE_MATRIX])
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 4))])
    np.testing.assert_allclose(traced(x), expected, rtol=0, atol=1e-6)
    # oneDNN joins a product with a bias that follows it without a reshape between.
    operations = traced.get_concrete_function().graph.get_operations()
    adds = [op for op in operations if op.type == "BiasAdd"]
    assert len(adds) == use_bias
    assert all(add.inputs[0].op.type == "MatMul" for add in adds)


def on_intel_or_amd():
    return platform.machine().lower() in ("x86_64", "amd64")


def operations_run(call, *given):
    """Returns a traced function's answer, and each operation that ran for it."""
    # The graph that ran, after TensorFlow's own rewriting, is shown nowhere else.
    from tensorflow.python.eager import context

    context.enable_run_metadata()
    try:
        answer = call(*given)
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    nodes = [node for one in graphs for node in one.post_optimization_graph.node]
    return answer, nodes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("approximate", "form"), [(False, b"GeluExact"), (True, b"GeluApproximate")]
)
def test_gelu_is_computed_in_the_product_where_no_gradient_follows(
    approximate, form, dtype
):
    layer = keras.layers.Dense(
        16,
        activation=lambda x: keras.activations.gelu(x, approximate=approximate),
        bias_initializer="normal",
        dtype=f"mixed_{dtype}" if dtype == "bfloat16" else dtype,
    )
    layer.build((None, None, 8))
    x = np.random.default_rng(0).normal(size=(4, 6, 8)).astype("float32")
    sums = np.asarray(x @ layer.kernel.numpy() + layer.bias.numpy(), "float64")
    expected = np.asarray(
        keras.activations.gelu(tf.constant(sums), approximate=approximate)
    )
    model = keras.Sequential([layer])
    speed_up(model, [ONE_MATRIX])
    speed_up(model, [OWN_GELU])

    @tf.function(input_signature=[tf.TensorSpec((None, None, 8))], autograph=False)
    def answer(x):
        with forward_only(), for_processor():
            return layer(x, training=False)

    found, nodes = operations_run(answer, tf.constant(x))
    # bfloat16 rounds x, kernel and bias, whose 9 products add up, and the answer.
    tolerance = 2e-6 if dtype == "float32" else 0.04
    np.testing.assert_allclose(
        np.asarray(tf.cast(found, "float64")), expected, rtol=0, atol=tolerance
    )
    if not on_intel_or_amd():
        pytest.skip("oneDNN rewrites graphs on x86 alone")
    fused = [list(node.attr["fused_ops"].list.s) for node in nodes]
    assert [b"BiasAdd", form] in fused


def test_gelu_with_a_gradient_to_come_keeps_its_slope_from_one_pass():
    layer = keras.layers.Dense(16, activation=keras.activations.gelu)
    layer.build((None, 8))
    model = keras.Sequential([layer])
    speed_up(model, [ONE_MATRIX])
    speed_up(model, [OWN_GELU])
    call = tf.function(lambda x: layer(x), autograph=False)
    graph = call.get_concrete_function(tf.zeros((2, 8))).graph
    # The derivative's exponential is only there where it is computed with the values.
    assert "Exp" in {operation.type for operation in graph.get_operations()}


def test_softmax_has_the_last_axis_to_itself():
    layer = keras.layers.EinsumDense(
        "abc,cde->abde", (None, 2, 3), activation="softmax"
    )
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    expected = layer(x)
    speed_up(keras.Sequential([layer]), [ONE_MATRIX])
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-6)
