"""The parts inside Keras and KerasHub that tfft relies on are still as it expects.

A failure here means that a new version changed one of them: then the code named in the
test needs another look, even if every other test passes.
"""

import inspect

import keras
import keras_hub
import numpy as np
import pytest
from keras import layers

from tfft.compute.attention import TWO_PRODUCTS
from tfft.compute.dropout import BYTE_DRAWS
from tfft.compute.einsum import ONE_MATRIX
from tfft.compute.embedding import ROWS_FIRST
from tfft.compute.first_token import FIRST_TOKEN
from tfft.compute.norm import OWN_NORM
from tfft.compute.speed import FAST_FORMS
from tfft.methods.inject import own_weights

REPLACED = {
    layers.MultiHeadAttention: TWO_PRODUCTS,
    layers.Dense: ONE_MATRIX,
    layers.EinsumDense: ONE_MATRIX,
    layers.LayerNormalization: OWN_NORM,
    layers.Dropout: BYTE_DRAWS,
    layers.Embedding: ROWS_FIRST,
    layers.ReversibleEmbedding: ROWS_FIRST,
    keras_hub.layers.TransformerEncoder: FIRST_TOKEN,
}


def parameters(function):
    return {
        one.name: (one.kind, one.default)
        for one in inspect.signature(function).parameters.values()
    }


def test_every_form_that_replaces_a_method_is_checked():
    methods = {form for form in FAST_FORMS if form.attribute != "activation"}
    assert set(REPLACED.values()) == methods


@pytest.mark.parametrize("kind", REPLACED, ids=lambda kind: kind.__name__)
def test_a_replaced_method_takes_the_arguments_of_keras(kind):
    form = REPLACED[kind]
    ours = parameters(form.value(object()).__func__)
    theirs = parameters(getattr(kind, form.attribute))
    if kind is layers.Embedding:  # the same method also serves its subclass
        del ours["reverse"]
    assert ours == theirs


def test_keras_calls_the_method_that_an_instance_has():
    called = []
    dense = layers.Dense(2)
    dense.call = lambda inputs, training=None: called.append("call") or inputs
    attention = layers.MultiHeadAttention(1, 2)
    x = np.zeros((1, 2, 3), "float32")
    dense(x)
    attention.build(x.shape, x.shape)
    plain = attention._compute_attention

    def recorded(*args, **options):
        called.append("_compute_attention")
        return plain(*args, **options)

    attention._compute_attention = recorded
    attention(x, x)
    assert called == ["call", "_compute_attention"]


def test_activation_is_read_in_every_call_and_none_is_linear():
    dense = layers.Dense(1)
    assert dense.activation is keras.activations.linear
    dense.build((None, 1))
    dense.activation = lambda x: x * 0 + 7
    assert float(dense(np.ones((1, 1), "float32"))[0, 0]) == 7


def test_attention_keeps_its_dropout_in_a_layer():
    attention = layers.MultiHeadAttention(1, 2, dropout=0.5)
    attention.build((1, 2, 3), (1, 2, 3))
    assert isinstance(attention._dropout_layer, layers.Dropout)
    assert attention.dropout == attention._dropout_layer.rate == 0.5


def test_a_dropout_layer_has_a_generator_of_seeds():
    seed = layers.Dropout(0.5, seed=1).seed_generator.next()
    assert tuple(seed.shape) == (2,)


def test_a_variable_is_cast_only_while_its_autocast_says_so():
    layer = layers.Embedding(3, 2, dtype="mixed_bfloat16")
    layer.build()
    variable, seen = layer.embeddings, []

    def call(inputs):
        seen.append(variable.value.dtype)
        variable._autocast = False
        seen.append(variable.value.dtype)
        variable._autocast = True
        return inputs

    layer.call = call
    layer(np.zeros((1, 1), "int32"))
    assert seen == ["bfloat16", "float32"]


class Holder(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = layers.Dense(1), layers.Dense(1)

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)
        self.built = True


def test_a_built_layer_takes_a_new_child_only_with_its_tracker_unlocked():
    holder, child = Holder(name="holder"), layers.Dense(1)
    holder.build((None, 1))
    child.build((None, 1))
    with pytest.raises(ValueError, match="cannot add new elements"):
        holder.third = child
    holder._tracker.unlock()
    holder.third = child
    holder._tracker.lock()
    assert len(holder.weights) == 6
    holder._tracker.untrack(child)
    assert len(holder.weights) == 4


def test_a_replaced_child_keeps_its_place_among_the_weights():
    holder, child = Holder(name="holder"), layers.Dense(1, name="child")
    holder.build((None, 1))
    child.build((None, 1))
    holder._tracker.replace_tracked_value("layers", holder.first, child)
    holder.first = child
    kernels = [child.kernel, holder.second.kernel]
    found = [one for one in holder.weights if one.name == "kernel"]
    assert [id(one) for one in found] == [id(one) for one in kernels]


def test_the_path_of_a_weight_starts_with_the_parent_path():
    child = layers.Dense(1, name="child")
    child._parent_path = "model/layer"
    child.build((None, 1))
    assert child.kernel.path == "model/layer/child/kernel"


def test_a_layer_lists_its_own_weights_apart_from_those_of_its_children():
    class Scaled(Holder):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), name="scale")
            self.gate = self.add_weight(shape=(), name="gate", trainable=False)
            super().build(shape)

    layer = Scaled()
    layer.build((None, 1))
    trained, fixed = own_weights(layer)
    assert [one.name for one in trained] == ["scale"]
    assert [one.name for one in fixed] == ["gate"]
    # A weight that is frozen later stays in the list it was made for.
    layer.scale.trainable = False
    assert [one.name for one in own_weights(layer)[0]] == ["scale"]
