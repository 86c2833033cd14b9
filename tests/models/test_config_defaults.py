"""Keys that a config.json leaves out are what transformers takes for them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.goldens import ROOT, golden
from tfft.core.errors import DataError
from tfft.models.architecture import ARCHITECTURES
from tfft.models.load_backbone import load_backbone

REFERENCE = json.loads((ROOT / "config-defaults" / "reference.json").read_text())
FAMILIES = ("bert", "roberta", "distilbert", "gpt2", "llama", "mistral", "qwen2")


def changed(tmp_path, name, change):
    """Writes a golden with another config."""
    source, inputs, outputs = golden(name)
    config = json.loads((source / "config.json").read_text())
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(load_file(source / "model.safetensors"), tmp_path / "model.safetensors")
    return tmp_path, inputs, outputs


def assert_same(loaded, inputs, outputs):
    states = loaded.architecture.sequence(loaded.backbone(inputs, training=False))
    real = inputs["padding_mask"] == 1
    expected = outputs["sequence"][real]
    np.testing.assert_allclose(np.asarray(states)[real], expected, 0, 2e-5)


def test_every_family_is_in_the_reference():
    assert set(ARCHITECTURES.names()) == set(REFERENCE)


@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_are_those_of_transformers(name):
    family, expected = ARCHITECTURES.get(name), REFERENCE[name]
    assert family.defaults.items() <= expected["numbers"].items()
    assert family.other_names == expected["other_names"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_is_built_without_the_keys_that_have_defaults(
    tmp_path, monkeypatch, name
):
    family, taken = ARCHITECTURES.get(name), {}
    folder, inputs, outputs = changed(
        tmp_path,
        name,
        lambda config: [
            taken.update({key: config.pop(key)}) for key in family.defaults
        ],
    )
    monkeypatch.setattr(family, "defaults", taken)
    loaded = load_backbone(folder)
    assert_same(loaded, inputs, outputs)
    [note] = loaded.notes
    assert note.startswith(f"config.json leaves out vocab_size ({taken['vocab_size']})")
    assert json.loads((folder / "config.json").read_text()) == loaded.config


@pytest.mark.parametrize("name", ["gpt2", "distilbert"])
def test_keys_may_have_their_other_names(tmp_path, name):
    def rename(config):
        for other, key in ARCHITECTURES.get(name).other_names.items():
            config[other] = config.pop(key)

    folder, inputs, outputs = changed(tmp_path, name, rename)
    loaded = load_backbone(folder)
    assert_same(loaded, inputs, outputs)
    assert loaded.notes == ()


def test_a_default_that_does_not_fit_the_weights_is_said(tmp_path):
    folder, *_ = changed(tmp_path, "bert", lambda config: config.pop("hidden_size"))
    with pytest.raises(DataError) as caught:
        load_backbone(folder)
    assert caught.value.what.startswith("config.json describes")
    assert "config.json leaves out hidden_size (768)" in caught.value.fix


def test_mistral_shares_its_keys_among_heads_by_default():
    # Eight of 32, where Llama has one key for each head.
    config = ARCHITECTURES.get("mistral")().completed({})
    assert config["num_key_value_heads"] == 8
    assert "num_key_value_heads" not in ARCHITECTURES.get("llama")().completed({})
