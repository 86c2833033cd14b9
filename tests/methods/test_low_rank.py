"""A linear layer and its low-rank update by one product, against NumPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.processor import for_processor
from tfft.methods.layers.lora import LoRADense, LoRAEinsumDense, lora_around
from tfft.methods.layers.low_rank import with_low_rank

RANK, SCALE = 2, 1.5
WIDTHS = pytest.mark.parametrize(("inputs", "outputs"), [(3, 7), (7, 3), (5, 5)])


def values(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.mark.parametrize("bias", [False, True])
@WIDTHS
def test_outputs_and_gradients_are_the_formulas(inputs, outputs, bias):
    x, upstream = values(2, 4, inputs), values(2, 4, outputs)
    W, A, B = values(inputs, outputs), values(inputs, RANK), values(RANK, outputs)
    b = values(outputs) if bias else None
    given = [tf.constant(one) for one in (x, A, B, *([b] if bias else []))]
    scale = tf.Variable(SCALE, trainable=False)
    with tf.GradientTape() as tape:
        tape.watch(given)
        row = given[3] if bias else None
        y = with_low_rank(given[0], tf.constant(W), row, given[1], given[2], scale)
    found = tape.gradient(y, given, tf.constant(upstream))
    rows, g = x.reshape(-1, inputs), upstream.reshape(-1, outputs)
    expected = [
        (g @ (W + SCALE * A @ B).T).reshape(x.shape),
        SCALE * rows.T @ (g @ B.T),
        SCALE * (rows @ A).T @ g,
        *([g.sum(0)] if bias else []),
    ]
    right = x @ (W + SCALE * A @ B) + (b if bias else 0)
    # 1e-12: all in float64.
    np.testing.assert_allclose(y, right, rtol=0, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def trained(layer, inputs):
    """Returns a LoRA layer with an update that is not zero."""
    layer.build((None, None, *inputs))
    # A of its own start: that of PiSSA is what it takes off again.
    layer.lora_b.assign(values(*layer.lora_b.shape))
    return layer


def dense(**options):
    return lambda: trained(LoRADense(keras.layers.Dense(6), rank=2, **options), (3,))


def einsum(equation, shape, axes, inputs):
    def make():
        layer = keras.layers.EinsumDense(
            equation, shape, bias_axes=axes, bias_initializer="ones"
        )
        return trained(LoRAEinsumDense(layer, rank=2), inputs)

    return make


def nested():
    inner = trained(LoRADense(keras.layers.Dense(6), rank=2, seed=1), (3,))
    return trained(lora_around(inner, rank=2, label="two", seed=2), (3,))


MAKERS = {
    "dense": dense(seed=1),
    "activation": lambda: trained(
        LoRADense(keras.layers.Dense(6, "gelu"), rank=2, seed=1), (3,)
    ),
    "query": einsum("abc,cde->abde", (None, 2, 3), "de", (4,)),
    "bias of an axis": einsum("abc,cde->abde", (None, 2, 3), "e", (4,)),
    "output": einsum("abcd,cde->abe", (None, 5), "e", (2, 4)),
    "no bias": einsum("abcd,cde->abe", (None, 5), None, (2, 4)),
    "rslora": dense(seed=1, use_rslora=True),
}
APART = {
    "dora": dense(seed=1, use_dora=True),
    "pissa": dense(seed=1, initialization="pissa"),
    "nested": nested,
}


def step_of(layer, wanted, training):
    """Returns a traced step: outputs, and gradients of x and what trains."""
    inputs = tuple(layer.matrix.kernel_shape[axis] for axis in layer.matrix.input_axes)
    given = tf.TensorSpec((2, 4, *inputs))

    @tf.function(input_signature=[given], autograph=False)
    def step(x):
        weights = [variable.value for variable in layer.trainable_variables]
        with for_processor(wanted), tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(y * tf.cos(tf.range(1.0, y.shape[-1] + 1)))
        return [y, *tape.gradient(loss, [x, *weights])]

    return step, values(*given.shape).astype("float32")


def writes_of_the_outputs(step, size):
    """Returns how many operations of the forward pass add arrays as wide as that."""
    operations = step.get_concrete_function().graph.get_operations()
    adds = [op for op in operations if op.type in ("AddV2", "BiasAdd", "Add")]
    return sum(op.outputs[0].shape.as_list()[-1:] == [size] for op in adds)


@pytest.mark.parametrize("kind", [*MAKERS, *APART])
def test_a_layer_computes_and_learns_the_same_on_a_processor(kind):
    layer = {**MAKERS, **APART}[kind]()
    found = []
    for wanted in (False, True):
        step, x = step_of(layer, wanted, training=True)
        found.append(step(tf.constant(x)))
    for one, other in zip(*found, strict=True):
        # 1e-5: float32 sums of values up to some tens, in another order.
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_wide_outputs_are_written_once_where_the_update_is_a_plain_sum():
    def adds(make, wanted, training=True):
        return writes_of_the_outputs(step_of(make(), wanted, training)[0], 6)

    assert adds(MAKERS["dense"], wanted=True) == 0
    assert adds(MAKERS["dense"], wanted=False) > 0
    for make in APART.values():
        assert adds(make, wanted=True) > 0
    # What dropout drops is the update's alone.
    assert adds(dense(seed=1, dropout=0.5), wanted=True) > 0
    assert adds(MAKERS["dense"], wanted=True, training=False) > 0


def test_a_kernel_that_trains_learns_the_same():
    layer = MAKERS["dense"]()
    layer.base.kernel.trainable = True
    found = []
    for wanted in (False, True):
        step, x = step_of(layer, wanted, training=True)
        found.append(step(tf.constant(x)))
    assert len(found[0]) == 5
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_quantised_layer_is_computed_by_itself():
    layer = keras.layers.Dense(6)
    layer.build((None, 3))
    layer.quantize("int8")
    adapted = trained(LoRADense(layer, rank=2, seed=1), (3,))
    x = tf.constant(values(2, 4, 3), "float32")
    plain = adapted(x)
    with for_processor():
        np.testing.assert_array_equal(adapted(x), plain)
