"""Wrappers of any method can share a weight."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.methods.adapter import Adapter, Injected
from tfft.methods.ia3 import IA3
from tfft.methods.layers.wrapper import Wrapper
from tfft.models.architecture import architecture_of


class Shifted(Wrapper):
    """A layer of which the outputs are shifted by a weight."""

    def make_weights(self):
        self.shift = self.shared_weight("shift", (self.matrix.shape[1],))

    @property
    def adapter_variables(self):
        return [self.shift]

    def adapted(self, inputs, training):
        return self.layer(inputs) + self.shift

    def neutral(self):
        return [(self.shift, keras.ops.zeros_like(self.shift))]


@pytest.fixture
def pair():
    first = Shifted(keras.layers.Dense(3))
    second = Shifted(keras.layers.Dense(3), shared=first)
    for one in (first, second):
        one.build((None, 4))
    return first, second


def test_both_hold_one_weight(pair):
    first, second = pair
    assert (first.shares, second.shares) == (False, True)
    assert second.shift is first.shift
    assert second.saved_variables["shift"] is first.shift


def test_its_gradient_is_the_sum_over_both(pair):
    first, second = pair
    x = np.ones((2, 4), "float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(first(x)) + 2 * tf.reduce_sum(second(x))
    # Two rows, once and twice.
    np.testing.assert_array_equal(tape.gradient(loss, first.shift.value), [6, 6, 6])


def test_an_adapter_counts_it_once(pair, make_backbone):
    backbone = make_backbone()
    architecture = architecture_of(backbone)
    places = architecture.linear_places(backbone.num_layers)
    injected = tuple(map(Injected, places, pair))
    adapter = Adapter(IA3(), backbone, architecture, injected)
    assert adapter.variables == [pair[0].shift]
