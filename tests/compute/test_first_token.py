"""The last layer for the first token alone is the whole layer's first token."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.layers import TransformerEncoder

import tfft
from tfft.compute.attention import TWO_PRODUCTS
from tfft.compute.first_token import FIRST_TOKEN, first_token_alone, last_layer
from tfft.compute.first_token_model import FirstTokenModel
from tfft.compute.speed import speed_up
from tfft.compute.split_frozen import split_frozen
from tfft.data.batching import Examples
from tfft.evaluation.frozen_layers import FrozenLayers
from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of
from tfft.tasks.networks.text_classifier import TextClassifier


def classifier(make_backbone, pooling="pooler"):
    return TextClassifier(make_backbone(), 3, dropout=0.0, pooling=pooling)


@pytest.fixture
def make_inputs(make_batch):
    """Makes the inputs of a network."""

    def make(**options):
        batch = make_batch(**options)
        return {key: batch[key] for key in ("token_ids", "segment_ids", "padding_mask")}

    return make


def loss_and_gradients(network, batch):
    with tf.GradientTape() as tape:
        logits = network(batch, training=True)
        loss = tf.reduce_sum(logits * tf.reshape(tf.range(1.0, 4.0), (1, 3)))
    variables = [variable.value for variable in network.trainable_variables]
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    return logits, [tf.convert_to_tensor(one) for one in gradients]


@pytest.mark.parametrize("products", [False, True], ids=["keras", "products"])
@pytest.mark.parametrize("pooling", ["pooler", "first"])
def test_logits_and_gradients_are_those_of_all_tokens(
    make_backbone, make_inputs, pooling, products
):
    network, batch = classifier(make_backbone, pooling), make_inputs(rows=4)
    batch["padding_mask"][1, 3:] = 0
    right, slopes = loss_and_gradients(network, batch)
    speed_up(network.backbone, [FIRST_TOKEN])
    if products:
        speed_up(network.backbone, [TWO_PRODUCTS])
    found, gradients = loss_and_gradients(network, batch)
    # Sums of 16 numbers in float32, in another order.
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-6)
    assert any(np.abs(one).max() > 1e-3 for one in slopes)
    for mine, theirs in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("normalize_first", [False, True])
def test_a_layer_of_either_kind_gives_its_first_token(normalize_first):
    layer = TransformerEncoder(12, 2, normalize_first=normalize_first)
    inputs = keras.Input((None, 8))
    mask = keras.Input((None,), dtype="int32")
    model = keras.Model([inputs, mask], layer(inputs, padding_mask=mask))
    generator = np.random.default_rng(0)
    for variable in layer.weights:
        variable.assign(variable + generator.normal(0, 0.5, variable.shape))
    x = generator.normal(size=(3, 5, 8)).astype("float32")
    kept = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], "int32")
    whole = layer(x, padding_mask=kept)
    speed_up(model, [FIRST_TOKEN])
    with first_token_alone(last_layer(model)):
        first = layer(x, padding_mask=kept)
        unmasked = layer(x)
    assert first.shape == (3, 1, 8)
    np.testing.assert_allclose(first, whole[:, :1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(unmasked, layer(x)[:, :1], rtol=0, atol=1e-5)
    assert layer(x, padding_mask=kept).shape == (3, 5, 8)
    with first_token_alone(last_layer(model)):
        whole, scores = layer(x, padding_mask=kept, return_attention_scores=True)
        masked = layer(x, attention_mask=kept[:, None] * kept[:, :, None])
    assert (whole.shape, masked.shape) == ((3, 5, 8), (3, 5, 8))
    assert scores.shape == (3, 2, 5, 5)


def tokens_of_the_last_block(network, batch, part=None):
    """Returns how many tokens the last layer's feed-forward block is given."""
    seen = []
    dense = network.backbone.transformer_layers[-1]._feedforward_intermediate_dense
    call = dense.call
    dense.call = lambda x, **options: (seen.append(x.shape[1]), call(x, **options))[1]
    try:
        (part or network)(batch)
    finally:
        dense.call = call
    return seen


@pytest.mark.parametrize(
    ("pooling", "tokens"), [("pooler", 1), ("first", 1), ("mean", 7), ("last", 7)]
)
def test_only_where_no_other_token_is_read(make_backbone, make_inputs, pooling, tokens):
    network, batch = classifier(make_backbone, pooling), make_inputs(length=7)
    speed_up(network.backbone, [FIRST_TOKEN])
    assert tokens_of_the_last_block(network, batch) == [tokens]
    assert network.backbone(batch)["sequence_output"].shape[1] == 7


@pytest.mark.parametrize(
    "method",
    [
        tfft.Prompt(length=3),
        tfft.Prefix(length=3),
        tfft.Bottleneck(size=4),
        tfft.LoRA(rank=2, target="all-linear"),
        tfft.IA3(),
    ],
    ids=lambda method: method.name,
)
def test_adapters_inside_and_around_the_layer_take_part(
    make_backbone, make_inputs, method
):
    networks = []
    for one_token in (False, True):
        backbone = make_backbone()
        if one_token:
            speed_up(backbone, [FIRST_TOKEN])
        applied = METHODS.resolve(method).apply(backbone, architecture_of(backbone), 0)
        generator = np.random.default_rng(0)
        for variable in applied.variables:
            variable.assign(variable + generator.normal(0, 0.3, variable.shape))
        network = TextClassifier(backbone, 3, dropout=0.0, seed=0)
        networks.append(network)
    batch = make_inputs(rows=4)
    whole, first = (network(batch) for network in networks)
    np.testing.assert_allclose(first, whole, rtol=0, atol=1e-5)
    # Vectors before the text would be taken for its first token.
    expected = 10 if method.name == "prompt" else 1
    assert tokens_of_the_last_block(networks[1], batch) == [expected]


def test_states_of_frozen_layers_are_computed_so(make_backbone, monkeypatch):
    network = classifier(make_backbone)
    METHODS.resolve("head").apply(
        network.backbone, architecture_of(network.backbone), 0
    )
    generator = np.random.default_rng(0)
    rows = [generator.integers(1, 20, length) for length in (3, 7, 5)]
    examples = Examples(
        {"token_ids": rows, "segment_ids": [0 * row for row in rows]},
        {},
        {"token_ids": 0, "segment_ids": 0},
    )
    found = []
    for _ in range(2):
        split = split_frozen(network)
        states = FrozenLayers(split).states(examples, None)
        found.append(np.stack(states.values[split.names[0]]))
        speed_up(network.backbone, [FIRST_TOKEN])
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-6)
    tokens = []
    layer = network.backbone.transformer_layers[-1]
    norm, call = layer._feedforward_layer_norm, layer._feedforward_layer_norm.call
    monkeypatch.setattr(norm, "call", lambda x: (tokens.append(x.shape[1]), call(x))[1])
    FrozenLayers(split_frozen(network))
    assert tokens == [1]


@pytest.mark.parametrize(("pooling", "tokens"), [("pooler", 1), ("mean", 7)])
def test_a_part_reads_of_the_last_layer_what_the_network_reads(
    make_backbone, make_inputs, pooling, tokens
):
    network, batch = classifier(make_backbone, pooling), make_inputs(length=7)
    speed_up(network.backbone, [FIRST_TOKEN])
    summary = network.below_head()
    assert tokens_of_the_last_block(network, batch, summary) == [tokens]
    np.testing.assert_allclose(
        network.classifier(summary(batch)), network(batch), rtol=0, atol=1e-6
    )


def test_states_of_every_token_keep_every_token(make_backbone, make_inputs):
    network, batch = classifier(make_backbone), make_inputs(length=7)
    speed_up(network.backbone, [FIRST_TOKEN])
    METHODS.resolve(tfft.LastLayers(count=1)).apply(
        network.backbone, architecture_of(network.backbone), 0
    )
    split = split_frozen(network)
    (states,) = keras.tree.flatten(split.prefix(batch))
    assert states.shape[1] == 7
    known = batch | {split.names[0]: states.numpy()}
    inputs = {name: known[name] for name in split.rest.input}
    assert tokens_of_the_last_block(network, inputs, split.rest) == [1]
    np.testing.assert_allclose(split.rest(inputs), network(batch), rtol=0, atol=1e-6)


def test_states_of_the_last_layer_are_of_every_token(make_backbone, make_inputs):
    class TrainedSummary(keras.layers.Layer):
        """Reads the first token above the cut."""

        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), name="scale")

        def call(self, states):
            return states[:, 0] * self.scale

    backbone = make_backbone()
    speed_up(backbone, [FIRST_TOKEN])
    backbone.trainable = False
    reads_one = SimpleNamespace(first_token_layer=last_layer(backbone))
    summary = TrainedSummary()(backbone.output["sequence_output"])
    split = split_frozen(FirstTokenModel(backbone.input, summary, reads_one))
    (states,) = keras.tree.flatten(split.prefix(make_inputs(length=7)))
    assert states.shape[1] == 7
