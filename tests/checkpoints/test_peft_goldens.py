"""Adapters that PEFT wrote compute here what torch computed, and go back as they came.

The references were computed in float64, the backbones compute in float32: states of
size 1 to 5 after norms, and some hundred roundings of 6e-8, stay below 2e-5.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfft
from tests.goldens import golden
from tfft.checkpoints.peft.folder import CONFIG, WEIGHTS
from tfft.models.architecture import ARCHITECTURES
from tfft.models.pretrained import load_backbone

TOLERANCE = 2e-5
CASES = [
    "peft-bert-seq-cls",
    "peft-bert-token-cls",
    "peft-bert-dora",
    "peft-bert-rslora-patterns",
    "peft-bert-ia3",
    "peft-gpt2-c-attn",
    "peft-gpt2-all-linear",
    "peft-gpt2-dora",
    "peft-gpt2-ia3",
    "peft-llama-lora",
    "peft-llama-ia3",
    "peft-llama-head",
    "peft-llama-tied",
] + ["peft-roberta-seq-cls"] * ("roberta" in ARCHITECTURES.names())
every_case = pytest.mark.parametrize("name", CASES)


def load(name):
    folder, inputs, outputs = golden(name)
    loaded = load_backbone(folder / "base")
    if "segment_ids" in loaded.architecture.inputs:
        inputs["segment_ids"] = np.zeros_like(inputs["token_ids"])
    adapter = tfft.load_adapter(loaded.backbone, folder)
    return loaded, adapter, inputs, outputs


def logits(loaded, adapter, states, outputs):
    """Returns logits of the head in the adapter's folder, or of the tied one."""
    heads = adapter.modules
    if not heads:
        return loaded.backbone.token_embedding(states, reverse=True)
    if "classifier" in heads:
        summary = states
        if outputs["logits"].shape[1] == 1:
            summary = loaded.architecture.pooled({**POOLED})[:, None]
        head = heads["classifier"]
        return np.asarray(summary) @ head["weight"].T + head["bias"]
    raise AssertionError(f"unexpected heads: {sorted(heads)}")


POOLED = {}


def roberta_logits(heads, states):
    """RoBERTa's head: a dense layer and tanh on the first state."""
    dense, out = heads["classifier.dense"], heads["classifier.out_proj"]
    inner = np.tanh(np.asarray(states)[:, :1] @ dense["weight"].T + dense["bias"])
    return inner @ out["weight"].T + out["bias"]


def compare(loaded, adapter, inputs, outputs):
    computed = loaded.backbone(inputs, training=False)
    states = np.asarray(loaded.architecture.sequence(computed))
    real = inputs["padding_mask"] == 1
    np.testing.assert_allclose(states[real], outputs["sequence"][real], 0, TOLERANCE)
    if "logits" not in outputs:
        return
    if "classifier.dense" in adapter.modules:
        found = roberta_logits(adapter.modules, states)
    else:
        POOLED.clear()
        if isinstance(computed, dict):
            POOLED.update(computed)
        found = np.asarray(logits(loaded, adapter, states, outputs))
    expected = outputs["logits"]
    if expected.shape[1] > 1:
        found, expected = found[real], expected[real]
    np.testing.assert_allclose(found, expected, 0, TOLERANCE)


@every_case
def test_states_and_logits_are_those_of_peft(name):
    loaded, adapter, inputs, outputs = load(name)
    compare(loaded, adapter, inputs, outputs)
    adapter.merge()
    compare(loaded, adapter, inputs, outputs)
    adapter.unmerge()
    with adapter.disable():
        moved = loaded.architecture.sequence(loaded.backbone(inputs, training=False))
    assert np.abs(np.asarray(moved) - outputs["sequence"]).max() > 0.1


@every_case
def test_what_is_saved_again_has_pefts_keys_shapes_and_values(name, tmp_path):
    folder, _, _ = golden(name)
    _, adapter, _, _ = load(name)
    adapter.save(tmp_path, modules_to_save=adapter.modules)
    ours, theirs = (load_file(one / WEIGHTS) for one in (tmp_path, folder))
    # With bias="all" PEFT writes copies of biases that it does not read back.
    copies = (".modules_to_save.", ".original_module.")
    theirs = {n: v for n, v in theirs.items() if not any(c in n for c in copies)}
    assert {n: v.shape for n, v in ours.items()} == {
        n: v.shape for n, v in theirs.items()
    }
    for key, value in theirs.items():
        np.testing.assert_array_equal(ours[key], value, err_msg=key)
    ours, theirs = (
        json.loads((one / CONFIG).read_text()) for one in (tmp_path, folder)
    )
    assert ours.keys() <= theirs.keys()
