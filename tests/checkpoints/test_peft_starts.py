"""`init_lora_weights` of PEFT: which of them change the base weights, and how."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfft
from tests.goldens import ROOT, golden
from tfft.checkpoints.peft.folder import CONFIG, WEIGHTS
from tfft.core.errors import DataError
from tfft.models.pretrained import load_backbone

# States of size 1 to 5 in float32 against float64; see test_peft_goldens.
TOLERANCE = 2e-5
CASES = [
    (family, path.name)
    for family in ("bert", "gpt2")
    for path in sorted((ROOT / f"peft-starts-{family}").iterdir())
    if (path / CONFIG).is_file()
]


def states(loaded, inputs):
    batch = {key: inputs[key] for key in ("token_ids", "padding_mask")}
    if "segment_ids" in loaded.architecture.inputs:
        batch["segment_ids"] = np.zeros_like(batch["token_ids"])
    outputs = loaded.backbone(batch, training=False)
    found = np.asarray(loaded.architecture.sequence(outputs))
    return found[batch["padding_mask"] == 1]


@pytest.mark.parametrize(("family", "start"), CASES)
def test_states_are_those_of_peft_after_loading(family, start, tmp_path):
    folder, inputs, outputs = golden(f"peft-starts-{family}")
    expected = outputs[start][inputs["padding_mask"] == 1]
    loaded = load_backbone(folder / "base")
    plain = states(loaded, inputs)
    adapter = tfft.load_adapter(loaded.backbone, folder / start)
    found = states(loaded, inputs)
    np.testing.assert_allclose(found, expected, 0, TOLERANCE)
    assert np.abs(found - plain).max() > 0.1
    adapter.save(tmp_path)
    adapter.merge()
    np.testing.assert_allclose(states(loaded, inputs), expected, 0, TOLERANCE)
    adapter.unmerge()
    adapter.unload()
    np.testing.assert_array_equal(states(loaded, inputs), plain)
    # tfft writes the first A and B beside the others, so that nobody need know them.
    tfft.load_adapter(loaded.backbone, tmp_path)
    np.testing.assert_allclose(states(loaded, inputs), expected, 0, TOLERANCE)


def test_pissa_of_a_fused_matrix_starts_at_its_principal_directions():
    folder, inputs, _ = golden("peft-starts-gpt2")
    loaded = load_backbone(folder / "base")
    plain = states(loaded, inputs)
    method = tfft.LoRA(rank=2, alpha=3, target="c_attn", initialization="pissa")
    applied = tfft.apply(loaded.backbone, method)
    np.testing.assert_array_equal(states(loaded, inputs), plain)
    base = load_file(folder / "base" / "model.safetensors")
    W = base["h.0.attn.c_attn.weight"]
    U, S, V = np.linalg.svd(W.astype("float64"), full_matrices=False)
    layers = [one.layer for one in applied.adapter.injected[:3]]
    assert len({id(layer.lora_a) for layer in layers}) == 1
    b = np.concatenate([np.array(layer.lora_b) for layer in layers], axis=1)
    found = 1.5 * np.array(layers[0].lora_a, "float64") @ b
    # 1e-5: the factors are float32.
    np.testing.assert_allclose(found, U[:, :2] * S[:2] @ V[:2], 0, 1e-5)
    # As balanced as PEFT's: each has the root of S.
    norms = np.linalg.norm(np.array(layers[0].lora_a), axis=0)
    np.testing.assert_allclose(norms, np.sqrt(S[:2] / 1.5), 1e-5)


def test_a_loaded_pissa_goes_on_from_pefts_first_factors():
    folder, inputs, _ = golden("peft-starts-bert")
    loaded = load_backbone(folder / "base")
    applied = tfft.load_adapter(loaded.backbone, folder / "pissa")
    assert applied.adapter.method.initialization == "pissa"
    theirs = load_file(folder / "pissa" / WEIGHTS)
    for one in applied.adapter.injected:
        name = f"base_model.model.{one.place.theirs}"
        a = theirs[f"{name}.lora_A.weight"].T
        np.testing.assert_array_equal(np.array(one.layer.lora_a), a)
        assert not any(first.trainable for first in one.layer.first)
    with applied.disable():
        before = states(loaded, inputs)
    np.testing.assert_array_equal(
        before, states(load_backbone(folder / "base"), inputs)
    )


REFUSED = {
    "pissa_niter_4": "random numbers.*path_initial_model_for_weight_conversion",
    "olora": "subtracts the initial A·B from.*path_initial_model_for_weight_conversion",
    "OLoRA": "subtracts the initial A·B from",
    "corda": "from data.*path_initial_model_for_weight_conversion",
    "lora_ga": "from gradients.*path_initial_model_for_weight_conversion",
    "loftq": "quantizes.*merge_and_unload",
    "kaiming": "is not known",
}


@pytest.mark.parametrize("start", REFUSED)
def test_starts_that_change_the_base_are_refused_by_name(start, tmp_path):
    source = ROOT / "peft-starts-bert"
    folder = shutil.copytree(source / "gaussian", tmp_path / "adapter")
    content = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**content, "init_lora_weights": start}))
    backbone = load_backbone(source / "base").backbone
    with pytest.raises(DataError, match=f"{start}.*{REFUSED[start]}"):
        tfft.load_adapter(backbone, folder)


@pytest.mark.parametrize(
    ("kind", "method"), [("PREFIX_TUNING", "prefix"), ("PROMPT_TUNING", "prompt")]
)
def test_what_cannot_be_merged_is_not_told_to_be(kind, method, tmp_path):
    source = ROOT / "peft-starts-bert"
    folder = shutil.copytree(source / "gaussian", tmp_path / "adapter")
    content = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**content, "peft_type": kind}))
    with pytest.raises(DataError, match=f"{kind}.*cannot be merged") as caught:
        tfft.load_adapter(load_backbone(source / "base").backbone, folder)
    assert f'method="{method}"' in caught.value.fix
    assert "merge the adapter" not in caught.value.fix
