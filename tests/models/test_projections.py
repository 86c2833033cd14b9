"""Projections by one product are Keras' projections, faster."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.models.projections import shared_axes, use_one_product


@pytest.mark.parametrize(
    ("equation", "count"),
    [
        *(("abc,cde->abde", 1), ("abcd,cde->abe", 2), ("ab,bc->ac", 1)),
        # Axes in another order, or summed away, are no product of two matrices.
        *(("abc,cde->abed", 0), ("abc,dce->abde", 0), ("abc,cd->ad", 0)),
        *(("abc,dc->abd", 0), ("abc,abd->cd", 0)),
    ],
)
def test_only_products_of_two_matrices_are_computed_as_such(equation, count):
    assert shared_axes(equation) == count


@pytest.mark.parametrize("training", [False, True])
def test_a_backbone_computes_and_learns_as_before(training, make_backbone, make_batch):
    outputs, gradients = [], []
    batch = make_batch()
    inputs = {k: batch[k] for k in ("token_ids", "segment_ids", "padding_mask")}
    for by_one_product in (False, True):
        backbone = make_backbone(dropout=0.2)
        if by_one_product:
            use_one_product(backbone)
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


def test_no_step_forms_a_kernel_for_each_row(make_backbone, make_batch):
    batch = make_batch()
    inputs = {k: batch[k] for k in ("token_ids", "segment_ids", "padding_mask")}
    backbone = make_backbone()
    use_one_product(backbone)
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
    [("abc,cde->abde", (None, 2, 3), "de"), ("abcd,cde->abe", (None, 5), None)],
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
        layer.bias.assign(np.arange(6.0).reshape(2, 3))
        expected = layer(x)
    use_one_product(keras.Sequential([layer]))
    assert "call" in vars(layer)
    unknown = tf.TensorSpec([None] * x.ndim, "float32")
    found = tf.function(layer, input_signature=[unknown])(x.astype("float32"))
    # 1e-6: float32 sums in another order.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("equation", "shape", "bias"),
    [("abc,dce->abde", (None, 2, 3), "de"), ("abc,cde->abde", (None, 2, 3), "e")],
)
def test_what_is_no_such_product_stays_as_it_is(equation, shape, bias):
    layer = keras.layers.EinsumDense(equation, shape, bias_axes=bias)
    layer.build((None, None, 4))
    use_one_product(keras.Sequential([layer]))
    assert "call" not in vars(layer)
