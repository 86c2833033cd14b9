"""The outputs of all rows come back in the order of the rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfft.compute.processor import is_for_processor
from tfft.data.batching import Batches, Examples
from tfft.evaluation.forward import Forward

LENGTHS = (5, 33, 1, 17, 17, 64, 2, 90)


@pytest.fixture
def examples():
    generator = np.random.default_rng(0)
    ids = [generator.integers(1, 100, length).tolist() for length in LENGTHS]
    return Examples(
        {"token_ids": ids}, {"labels": np.zeros(8, "int32")}, {"token_ids": 7}
    )


@pytest.fixture
def network():
    """Sums the ids at real positions and multiplies the sum by two weights."""
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    real = keras.ops.cast(inputs["token_ids"] * inputs["padding_mask"], "float32")
    total = keras.ops.sum(real, axis=-1, keepdims=True)
    dropped = keras.layers.Dropout(0.5, seed=0)(total)
    outputs = keras.layers.Dense(2, use_bias=False)(dropped)
    network = keras.Model(inputs, outputs)
    network.set_weights([np.array([[1.0, 0.5]], "float32")])
    return network


def expected(examples, *factors):
    sums = np.array([sum(ids) for ids in examples.sequences["token_ids"]], "float32")
    return sums[:, None] * np.array(factors, "float32")


@pytest.mark.parametrize("batch_size", [1, 3, 8, 20])
def test_outputs_are_in_the_order_of_the_rows(examples, network, batch_size):
    found = Forward(network)(Batches(examples, batch_size))
    # Sums of whole numbers below 2**24 and powers of two: exact in float32.
    np.testing.assert_array_equal(found, expected(examples, 1, 0.5), strict=True)


def test_the_order_of_batches_does_not_matter(examples, network):
    found = Forward(network)(Batches(examples, 3, seed=1))
    np.testing.assert_array_equal(found, expected(examples, 1, 0.5))


def test_changed_weights_count_at_once(examples, network):
    forward = Forward(network)
    forward(Batches(examples, 3))
    network.set_weights([np.array([[2.0, -1.0]], "float32")])
    found = forward(Batches(examples, 3))
    np.testing.assert_array_equal(found, expected(examples, 2, -1))


def test_progress_counts_each_row_once(examples, network):
    done = []
    Forward(network)(Batches(examples, 3), done.append)
    assert done == [3, 3, 2]


def test_shapes_are_traced_once(examples, network):
    traces = []
    call = network.call
    network.call = lambda *args, **options: traces.append(1) or call(*args, **options)
    forward = Forward(network)
    forward(Batches(examples, 1))
    forward(Batches(examples, 3))
    assert len(traces) == 1


def test_outputs_of_further_axes_keep_them(examples):
    inputs = {"token_ids": keras.Input((None,), dtype="int32", name="token_ids")}
    last = keras.ops.cast(inputs["token_ids"][:, :4], "float32")
    network = keras.Model(inputs, keras.ops.reshape(last, (-1, 2, 2)))
    found = Forward(network)(Batches(examples, 3))
    wanted = np.full((8, 4), 7, "float32")
    for row, ids in enumerate(examples.sequences["token_ids"]):
        wanted[row, : len(ids[:4])] = ids[:4]
    np.testing.assert_array_equal(found, wanted.reshape(8, 2, 2), strict=True)


def test_it_computes_in_ways_that_suit_a_processor(examples, network):
    seen = []

    def noting(batch, training):
        seen.append((is_for_processor(), training))
        return network(batch, training=training)

    noting.input = network.input
    found = Forward(noting)(Batches(examples, 3))
    np.testing.assert_array_equal(found, expected(examples, 1, 0.5))
    assert seen == [(True, False)]
