"""The wiring of decoders: as the backbone computes, and sequences kept apart."""

from __future__ import annotations

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from tests.goldens import golden
from tfft.core.errors import ConfigError
from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of
from tfft.models.pretrained import load_backbone
from tfft.models.wiring.decoder_states import decoder_states
from tfft.models.wiring.wiring import wiring_of

GOLDENS = [
    "gpt2",
    "gpt2-config",
    "llama",
    "llama-tied",
    "llama3-rope",
    "mistral",
    "qwen2",
]
SIZES = {
    "vocabulary_size": 40,
    "num_layers": 2,
    "hidden_dim": 16,
    "intermediate_dim": 24,
}


def gpt2(dropout=0.0):
    return keras_hub.models.GPT2Backbone(
        **SIZES, num_heads=2, max_sequence_length=24, dropout=dropout
    )


def llama(dropout=0.0):
    return keras_hub.models.LlamaBackbone(
        **SIZES, num_query_heads=4, num_key_value_heads=2, dropout=dropout
    )


def qwen2(dropout=0.0):
    return keras_hub.models.QwenBackbone(
        **SIZES, num_query_heads=4, num_key_value_heads=2, dropout=dropout
    )


def mistral(dropout=0.0):
    """With a window that hides something in every sequence but the shortest."""
    return keras_hub.models.MistralBackbone(
        **SIZES,
        num_query_heads=4,
        num_key_value_heads=2,
        head_dim=6,
        sliding_window=3,
        dropout=dropout,
    )


MAKERS = [gpt2, llama, qwen2, mistral]


def backbone_of(make, **options):
    keras.utils.set_random_seed(0)
    backbone = make(**options)
    generator = np.random.default_rng(0)
    for variable in backbone.weights:
        variable.assign(variable + generator.normal(0, 0.2, variable.shape))
    return backbone


def packed(lengths=(7, 4, 6), seed=1):
    """One row of three sequences and two places of padding."""
    generator = np.random.default_rng(seed)
    ids = [generator.integers(0, 40, size).astype("int32") for size in lengths]
    row = np.concatenate([*ids, np.zeros(2, "int32")])[None]
    places = [np.arange(size) for size in (*lengths, 2)]
    numbers = np.repeat([1, 2, 3, 0], (*lengths, 2))
    return ids, (row, np.concatenate(places)[None], numbers[None])


@pytest.mark.parametrize("name", GOLDENS)
def test_states_are_those_of_torch(name):
    folder, inputs, outputs = golden(name)
    backbone = load_backbone(folder).backbone
    mask = inputs["padding_mask"]
    places = np.tile(np.arange(mask.shape[1]), (len(mask), 1))
    states = decoder_states(wiring_of(backbone), inputs["token_ids"], places, mask)
    # The reference is in float64; values near 3 after some hundred roundings of 6e-8.
    np.testing.assert_allclose(
        np.asarray(states)[mask == 1], outputs["sequence"][mask == 1], 0, 2e-5
    )


@pytest.mark.parametrize("make", MAKERS)
def test_packed_states_are_those_of_each_sequence_alone(make):
    wiring = wiring_of(backbone_of(make))
    ids, (row, places, numbers) = packed()
    together = np.asarray(decoder_states(wiring, row, places, numbers))[0]
    start = 0
    for one in ids:
        alone = wiring.backbone(
            {"token_ids": one[None], "padding_mask": np.ones_like(one)[None]}
        )
        end = start + len(one)
        np.testing.assert_allclose(together[start:end], alone[0], rtol=0, atol=1e-5)
        start = end


@pytest.mark.parametrize("make", MAKERS)
def test_a_sequence_has_exactly_no_gradient_from_another(make):
    wiring = wiring_of(backbone_of(make))
    _, (row, places, numbers) = packed()
    embeddings = wiring.embed(row, places)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        states = decoder_states(
            wiring, row, places, numbers, disturb=lambda x: embeddings
        )
        loss = tf.reduce_sum(states[0, 7:11] ** 2)
    gradient = np.asarray(tape.gradient(loss, embeddings))[0]
    assert np.abs(gradient[7:11]).min(axis=1).max() > 0
    assert (gradient[:7] == 0).all()
    assert (gradient[11:] == 0).all()


@pytest.mark.parametrize("make", MAKERS)
def test_checkpointing_changes_neither_loss_nor_gradients(make):
    backbone = backbone_of(make, dropout=0.3)
    wiring = wiring_of(backbone)
    _, (row, places, numbers) = packed()
    seeds = [v for v in backbone.variables if "seed_generator" in v.path]
    before = [np.asarray(v.value) for v in seeds]
    results = []
    for checkpointing in (False, True):
        for variable, value in zip(seeds, before, strict=True):
            variable.assign(value)
        results.append(_loss_and_gradients(wiring, row, places, numbers, checkpointing))
    # Another graph may round the last bit of the sum otherwise.
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=2e-7)
    for kept, again in zip(results[0][1], results[1][1], strict=True):
        # Gradients of one variable may be summed in another order: some roundings.
        np.testing.assert_allclose(again, kept, rtol=0, atol=1e-5 * np.abs(kept).max())


def test_windows_of_qwen2_are_followed():
    sliding = {"use_sliding_window_attention": True, "sliding_window_size": 2}
    backbone = keras_hub.models.QwenBackbone(
        **SIZES, num_query_heads=4, num_key_value_heads=2, **sliding
    )
    ids = np.arange(9, dtype="int32")[None]
    ones = np.ones_like(ids)
    found = decoder_states(wiring_of(backbone), ids, ids, ones)
    expected = backbone({"token_ids": ids, "padding_mask": ones})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@tf.function
def _loss_and_gradients(wiring, row, places, numbers, checkpointing):
    variables = [v.value for v in wiring.backbone.trainable_variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        states = decoder_states(
            wiring,
            row,
            places,
            numbers,
            training=True,
            gradient_checkpointing=checkpointing,
        )
        loss = tf.reduce_sum(tf.cast(states, tf.float32) ** 2)
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    return loss, [tf.convert_to_tensor(one) for one in gradients]


def test_dropout_drops_in_training_and_differs_from_call_to_call():
    wiring = wiring_of(backbone_of(gpt2, dropout=0.3))
    _, (row, places, numbers) = packed()

    def states(training):
        return np.asarray(
            decoder_states(wiring, row, places, numbers, training=training)
        )

    assert (states(False) == states(False)).all()
    assert np.abs(states(True) - states(True)).max() > 0.01
    assert np.abs(states(True) - states(False)).max() > 0.01


@pytest.mark.parametrize("make", MAKERS)
def test_adapters_inside_the_layers_take_part(make):
    backbone = backbone_of(make)
    method = METHODS.resolve("lora", {"target": "all-linear"})
    adapter = method.apply(backbone, architecture_of(backbone), 0)
    _, (row, places, numbers) = packed()
    wiring = wiring_of(backbone)
    before = np.asarray(decoder_states(wiring, row, places, numbers))
    for variable in adapter.variables:
        variable.assign(variable + 0.05)
    after = np.asarray(decoder_states(wiring, row, places, numbers))
    assert np.abs(after - before).max() > 0.01
    adapter.merge()
    merged = np.asarray(decoder_states(wiring, row, places, numbers))
    np.testing.assert_allclose(merged, after, rtol=0, atol=2e-5)


def test_encoders_and_replaced_attention_are_refused(backbone):
    known = "GPT2Backbone, LlamaBackbone, MistralBackbone, QwenBackbone"
    with pytest.raises(ConfigError, match=f"a decoder: {known}"):
        wiring_of(backbone)
    decoder = backbone_of(gpt2)
    block = decoder.transformer_layers[0]

    class Other(keras.layers.Layer):
        pass

    block._tracker.unlock()
    block._self_attention_layer = Other(name="self_attention")
    with pytest.raises(ConfigError, match="is a Other"):
        wiring_of(decoder).dropouts(block)
