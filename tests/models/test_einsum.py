"""Projections by one product are Keras' projections."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.models.attention import use_products
from tfft.models.einsum import use_matrices


def test_no_step_forms_a_kernel_for_each_row(make_backbone, make_batch):
    batch = make_batch()
    inputs = {k: batch[k] for k in ("token_ids", "segment_ids", "padding_mask")}
    backbone = make_backbone()
    use_products(backbone)
    use_matrices(backbone)
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
    use_matrices(keras.Sequential([layer]))
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
    use_matrices(keras.Sequential([layer]))
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 4))])
    np.testing.assert_allclose(traced(x), expected, rtol=0, atol=1e-6)
    # oneDNN joins a product with a bias that follows it without a reshape between.
    operations = traced.get_concrete_function().graph.get_operations()
    adds = [op for op in operations if op.type == "BiasAdd"]
    assert len(adds) == use_bias
    assert all(add.inputs[0].op.type == "MatMul" for add in adds)
