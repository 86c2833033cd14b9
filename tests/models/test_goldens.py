"""Models that transformers wrote compute here what torch computed.

The references were computed in float64, the backbones compute in float32: states of
size 1 to 5 after norms, and some hundred roundings of 6e-8, stay below 2e-5.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.goldens import golden
from tfft.models.load_backbone import load_backbone

TOLERANCE = 2e-5
DECODERS = [
    "gpt2",
    "gpt2-config",
    "llama",
    "llama-tied",
    "llama3-rope",
    "mistral",
    "qwen2",
]


def real(values, inputs):
    return np.asarray(values)[inputs["padding_mask"] == 1]


CLASSIFIER = ("classifier.bias", "classifier.weight")
ENCODERS = {
    # The tensors of a head, and how many others are known and left.
    "bert": ((), 0),
    "bert-classifier": (CLASSIFIER, 0),
    "bert-tokens": (CLASSIFIER, 0),
    "bert-answers": (("qa_outputs.bias", "qa_outputs.weight"), 0),
    "bert-masked": ((), 5),
    "distilbert": ((), 0),
    "distilbert-classifier": (
        (*CLASSIFIER, "pre_classifier.bias", "pre_classifier.weight"),
        0,
    ),
    "roberta": ((), 0),
    "roberta-classifier": (
        tuple(
            f"classifier.{layer}.{part}"
            for layer in ("dense", "out_proj")
            for part in ("bias", "weight")
        ),
        0,
    ),
}


@pytest.mark.parametrize("name", DECODERS)
def test_states_and_logits_are_those_of_torch(name):
    folder, inputs, outputs = golden(name)
    loaded = load_backbone(folder)
    assert loaded.report == ({}, (), ())
    states = loaded.architecture.sequence(loaded.backbone(inputs, training=False))
    expected = real(outputs["sequence"], inputs)
    np.testing.assert_allclose(real(states, inputs), expected, 0, TOLERANCE)
    if "logits" in outputs:
        logits = loaded.backbone.token_embedding(states, reverse=True)
        expected = real(outputs["logits"], inputs)
        np.testing.assert_allclose(real(logits, inputs), expected, 0, TOLERANCE)


@pytest.mark.parametrize("name", ENCODERS)
def test_states_of_encoders_are_those_of_torch(name):
    folder, inputs, outputs = golden(name)
    loaded = load_backbone(folder)
    head, aside = ENCODERS[name]
    assert tuple(loaded.report.head) == head
    assert len(loaded.report.aside) == aside
    found = loaded.backbone(inputs, training=False)
    states = real(loaded.architecture.sequence(found), inputs)
    expected = real(outputs["sequence"], inputs)
    np.testing.assert_allclose(states, expected, 0, TOLERANCE)
    if "pooled" in outputs and "pooler" in loaded.architecture.poolings:
        pooled = loaded.architecture.pooled(found)
        np.testing.assert_allclose(pooled, outputs["pooled"], 0, TOLERANCE)
