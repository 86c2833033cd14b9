"""A network is cut at the latest point that training cannot change."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.layers import set_dropout
from tfft.compute.split_frozen import split_frozen
from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of
from tfft.tasks.networks.text_classifier import TextClassifier

LAYERS = 3


@pytest.fixture
def network_of(make_backbone):
    """Makes a classifier trained by a method."""

    def make(method, pooling="pooler", dropout=0.0):
        backbone = make_backbone(num_layers=LAYERS, dropout=dropout)
        METHODS.resolve(method).apply(backbone, architecture_of(backbone), 0)
        return TextClassifier(backbone, num_classes=3, dropout=0.5, pooling=pooling)

    return make


def batch_of(rows=4, length=7):
    generator = np.random.default_rng(0)
    mask = np.arange(length) < generator.integers(1, length + 1, rows)[:, None]
    return {
        "token_ids": generator.integers(0, 30, (rows, length)).astype("int32"),
        "segment_ids": np.zeros((rows, length), "int32"),
        "padding_mask": mask.astype("int32"),
    }


def layers_of(model):
    return {layer.name for layer in model.layers if layer.weights}


def last(count):
    return {"name": "last_layers", "count": count}


@pytest.mark.parametrize(
    ("method", "pooling", "above", "size", "per_token"),
    [
        ("head", "pooler", set(), (16,), False),
        ("head", "first", set(), (16,), False),
        ("head", "mean", set(), (16,), False),
        (last(1), "mean", {"transformer_layer_2"}, (16,), True),
        (last(1), "pooler", {"transformer_layer_2", "pooled_dense"}, (16,), True),
        (last(2), "mean", {"transformer_layer_1", "transformer_layer_2"}, (16,), True),
    ],
)
def test_the_cut_is_below_the_first_layer_that_trains(
    network_of, method, pooling, above, size, per_token
):
    network = network_of(method, pooling)
    split = split_frozen(network)
    assert layers_of(split.rest) == {"classifier", *above}
    assert split.sizes == (size,)
    assert split.per_token == (per_token,)
    # The pooler trains with the last layers also where it takes no part.
    pooler = network.backbone.get_layer("pooled_dense").weights
    idle = {id(v) for v in pooler} if pooling != "pooler" else set()
    trained = {id(v) for v in network.trainable_variables}
    assert {id(v) for v in split.rest.trainable_variables} == trained - idle


@pytest.mark.parametrize("method", ["head", last(1), last(2)], ids=str)
@pytest.mark.parametrize("pooling", ["pooler", "first", "mean"])
def test_the_two_parts_make_the_whole(network_of, method, pooling):
    network = network_of(method, pooling)
    split = split_frozen(network)
    batch = batch_of()
    states = split.prefix(batch, training=True)
    states = states if isinstance(states, list) else [states]
    given = dict(zip(split.names, states, strict=True))
    given |= {n: tf.constant(batch[n]) for n in split.rest.input if n in batch}
    # The same operations in the same order on the same machine.
    np.testing.assert_array_equal(
        split.rest(given, training=False), network(batch, training=False)
    )


@pytest.mark.parametrize("method", ["full", "lora", last(LAYERS)], ids=str)
def test_nothing_is_cut_when_the_first_layer_trains(network_of, method):
    assert split_frozen(network_of(method)) is None


def test_frozen_embeddings_alone_are_not_worth_a_cut(network_of):
    network = network_of(last(LAYERS))
    assert not network.backbone.get_layer("token_embedding").trainable_variables
    assert split_frozen(network) is None


def test_dropout_keeps_layers_out_of_the_prefix(network_of):
    network = network_of("head", dropout=0.1)
    assert split_frozen(network) is None
    assert split_frozen(network, despite_dropout=True).kernels > 0.9
    set_dropout(network.backbone, 0.0)
    assert layers_of(split_frozen(network).rest) == {"classifier"}


def test_dropout_in_one_layer_keeps_out_what_stands_above_it(network_of):
    network = network_of("head", dropout=0.1)
    set_dropout(network.backbone, 0.0)
    set_dropout(network.backbone.get_layer("transformer_layer_1"), 0.1)
    split = split_frozen(network)
    above = {"transformer_layer_1", "transformer_layer_2", "pooled_dense"}
    assert layers_of(split.rest) == {"classifier", *above}


def test_the_share_of_the_kernels_below_the_cut(network_of):
    split = split_frozen(network_of(last(1), "mean"))
    block, head = 4 * 16 * 16 + 2 * 16 * 32, 16 * 3
    assert split.kernels == pytest.approx(2 * block / (3 * block + head), abs=1e-12)


def test_a_layer_called_twice_is_left_alone(make_backbone):
    shared = keras.layers.Dense(4, name="shared")
    inputs = keras.Input((4,), name="x")
    shared.trainable = False
    outputs = keras.layers.Dense(1)(shared(shared(inputs)))
    assert split_frozen(keras.Model({"x": inputs}, outputs)) is None


def test_a_model_that_is_no_graph_is_left_alone(backbone):
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    assert split_frozen(Own()) is None
