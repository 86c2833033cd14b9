"""What a family cannot compute is refused by name; what it can is followed."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.goldens import golden
from tfft.compute.layers import spots
from tfft.core.errors import ConfigError, DataError
from tfft.models.architecture import ARCHITECTURES, architecture_of
from tfft.models.load_backbone import load_backbone

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def changed(tmp_path, name, weights=None, **changes):
    """Returns a copy of a golden with another config, or other weights."""
    source, _, _ = golden(name)
    folder = tmp_path / "model"
    folder.mkdir()
    config = json.loads((source / CONFIG).read_text())
    for key, value in changes.items():
        config[key] = value
    (folder / CONFIG).write_text(json.dumps(config))
    shutil.copy(source / WEIGHTS, folder / WEIGHTS)
    if weights is not None:
        tensors = load_file(source / WEIGHTS)
        weights(tensors)
        save_file(tensors, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize(
    ("name", "changes", "what"),
    [
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention=True"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights=False"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse"),
        ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings=False"),
        ("gpt2", {"n_inner": "64"}, "n_inner='64'"),
        ("gpt2", {"n_head": 3}, "n_embd=16 with n_head=3"),
        ("gpt2", {"activation_function": "mish"}, "activation_function='mish'"),
        ("gpt2", {"attn_pdrop": 1}, "attn_pdrop=1"),
        ("llama", {"attention_bias": True}, "attention_bias=True"),
        ("llama", {"mlp_bias": True}, "mlp_bias=True"),
        ("llama", {"head_dim": 8}, "head_dim=8"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ("llama", {"num_key_value_heads": 3}, "num_attention_heads=4 with num_key"),
        ("llama", {"rope_parameters": {"rope_type": "yarn"}}, "rope_type='yarn'"),
        ("llama", {"rope_parameters": {"rope_type": "linear"}}, "rope_type='linear'"),
        ("llama", {"rope_scaling": {"type": "dynamic"}, "rope_parameters": None},
         "rope_type='dynamic'"),
        ("llama", {"rope_parameters": [1]}, "rope_parameters=[1]"),
        ("llama", {"rope_parameters": {"rope_theta": "1"}}, "rope_theta='1'"),
        ("llama", {"rope_parameters": {"rope_theta": float("nan")}}, "rope_theta=nan"),
        ("llama", {"tie_word_embeddings": 1.5}, "tie_word_embeddings=1.5"),
        ("llama", {"num_hidden_layers": 5000}, "num_hidden_layers=5000"),
        ("llama3-rope", {"rope_parameters": {"rope_type": "llama3", "factor": 0}},
         "factor=0 in the rotary settings"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window=True"),
        ("mistral", {"tie_word_embeddings": True}, "tie_word_embeddings=True"),
        ("mistral", {"sliding_window": 0}, "sliding_window=0"),
        ("mistral", {"head_dim": 2000}, "head_dim=2000"),
        ("roberta", {"pad_token_id": 40}, "max_position_embeddings=32"),
        ("roberta", {"pad_token_id": "1"}, "pad_token_id='1'"),
        ("roberta", {"type_vocab_size": 3}, "embeddings.token_type_embeddings.weight"),
        ("roberta", {"is_decoder": True}, "is_decoder=True"),
        ("distilbert", {"activation": "silly"}, "activation='silly'"),
        ("distilbert", {"n_heads": 3}, "dim=16 with n_heads=3"),
        ("bert", {"vocab_size": 2**23}, "config.json describes at least 134,221,824"),
        (
            "bert",
            {"intermediate_size": 2**22},
            "config.json describes at least 268,439,600",
        ),
        ("gpt2", {"n_layer": 1000}, "config.json describes at least 3,0"),
        ("mistral", {"head_dim": 900}, "config.json describes "),
    ],
)  # fmt: skip
def test_what_would_be_computed_wrongly_is_refused(tmp_path, name, changes, what):
    folder = changed(tmp_path, name, **changes)
    with pytest.raises(DataError) as caught:
        load_backbone(folder)
    assert caught.value.what.startswith(what)
    assert str(folder) in caught.value.where


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gpt2", {"layer_norm_epsilon": 1e-2}),
        ("gpt2", {"activation_function": "relu"}),
        ("gpt2", {"n_head": 4}),
        ("llama", {"rms_norm_eps": 1e-1}),
        ("llama", {"rope_parameters": {"rope_theta": 50.0}}),
        ("llama", {"rope_parameters": None, "rope_theta": 50.0}),
        ("llama3-rope", {"rope_parameters": {"rope_theta": 10000.0}}),
        ("mistral", {"sliding_window": None}),
        ("mistral", {"sliding_window": 2}),
        ("roberta", {"hidden_act": "relu"}),
        ("roberta", {"layer_norm_eps": 1e-1}),
        ("distilbert", {"activation": "relu"}),
    ],
)
def test_each_key_of_the_mathematics_changes_the_outputs(tmp_path, name, changes):
    _, inputs, outputs = golden(name)
    loaded = load_backbone(changed(tmp_path, name, **changes))
    states = loaded.architecture.sequence(loaded.backbone(inputs, training=False))
    real = inputs["padding_mask"] == 1
    assert np.abs(np.asarray(states) - outputs["sequence"])[real].max() > 1e-3


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        # The old spelling of the rotary settings means the same.
        ("llama-tied", {"rope_parameters": None, "rope_theta": 100.0}),
        ("mistral", {"sliding_window": 4, "attention_dropout": 0.5}),
        ("gpt2", {"resid_pdrop": 0.5, "reorder_and_upcast_attn": True}),
        ("llama", {"num_key_value_heads": 2, "pretraining_tp": 2}),
    ],
)
def test_other_keys_leave_the_outputs_alone(tmp_path, name, changes):
    _, inputs, outputs = golden(name)
    loaded = load_backbone(changed(tmp_path, name, **changes))
    states = loaded.architecture.sequence(loaded.backbone(inputs, training=False))
    real = inputs["padding_mask"] == 1
    difference = np.abs(np.asarray(states) - outputs["sequence"])[real]
    assert difference.max() < 2e-5


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("gpt2", {"resid_pdrop": 0.1, "embd_pdrop": 0.2, "attn_pdrop": 0.3}),
        ("roberta", {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.2}),
        ("distilbert", {"dropout": 0.1, "attention_dropout": 0.2}),
        ("llama", {"attention_dropout": 0.1}),
    ],
)
def test_dropout_is_the_configs(tmp_path, name, keys):
    folder = changed(tmp_path, name, **keys)
    for asked, expected in ((None, set(keys.values())), (0.0, {0.0})):
        backbone = load_backbone(folder, asked).backbone
        found = {
            spot.layer.rate
            for spot in spots(backbone)
            if isinstance(spot.layer, keras.layers.Dropout)
        }
        assert found == expected


RATES = pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("gpt2", ("attn_pdrop", "resid_pdrop", "embd_pdrop")),
        ("bert", ("attention_probs_dropout_prob", "hidden_dropout_prob")),
        ("distilbert", ("attention_dropout", "dropout")),
    ],
)


@RATES
def test_a_described_backbone_has_its_rates(tmp_path, name, keys):
    rates = {key: 0.1 * (index + 1) for index, key in enumerate(keys)}
    loaded = load_backbone(changed(tmp_path, name, **rates))
    found = loaded.architecture.describe(loaded.backbone)
    assert {key: found[key] for key in keys} == rates


@RATES
def test_each_rate_of_dropout_drops_alone(tmp_path, name, keys):
    _, inputs, outputs = golden(name)
    for index, key in enumerate(("", *keys)):
        (tmp_path / key).mkdir(exist_ok=True)
        rates = {**dict.fromkeys(keys, 0.0), **({key: 0.5} if index else {})}
        loaded = load_backbone(changed(tmp_path / key, name, **rates))
        states = loaded.architecture.sequence(loaded.backbone(inputs, training=True))
        real = inputs["padding_mask"] == 1
        moved = np.abs(np.asarray(states) - outputs["sequence"])[real].max()
        assert moved > 1e-2 if index else moved < 2e-5


def test_an_untied_head_that_is_not_there_starts_at_random(tmp_path):
    folder = changed(tmp_path, "llama", weights=lambda t: t.pop("lm_head.weight"))
    assert load_backbone(folder).report.fresh == ("head",)


def test_a_tied_head_may_be_there_when_it_is_the_same(tmp_path):
    def same(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()

    def other(tensors):
        same(tensors)
        tensors["lm_head.weight"][0, 0] += 1

    assert load_backbone(changed(tmp_path, "llama-tied", same)).report == ({}, (), ())
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="differs from embed_tokens"):
        load_backbone(changed(tmp_path / "other", "llama-tied", other))


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("gpt2", "transformer.h.0.attn.bias"),
        ("gpt2", "transformer.h.1.attn.masked_bias"),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq"),
        ("bert", "embeddings.position_ids"),
    ],
)
def test_tensors_that_nothing_needs_are_passed_over(tmp_path, name, extra):
    def add(tensors):
        tensors[extra] = np.ones(3, "float32")

    assert load_backbone(changed(tmp_path, name, add)).report == ({}, (), ())


@pytest.mark.parametrize("extra", ["h.0.attn.biases", "h.2.ln_1.weight", "adapter.x"])
def test_an_unknown_tensor_is_refused(tmp_path, extra):
    def add(tensors):
        tensors[extra] = np.ones(3, "float32")

    with pytest.raises(DataError) as caught:
        load_backbone(changed(tmp_path, "gpt2", add))
    assert caught.value.what == f"the weights do not fit: {extra} is not known"


def test_a_tensor_with_and_without_prefix_is_refused(tmp_path):
    def add(tensors):
        tensors["wte.weight"] = tensors["transformer.wte.weight"].copy()

    with pytest.raises(DataError, match=r"hold wte\.weight under two names"):
        load_backbone(changed(tmp_path, "gpt2", add))


def test_a_fused_tensor_of_another_size_is_named_three_times(tmp_path):
    name = "transformer.h.0.attn.c_attn.weight"

    def cut(tensors):
        tensors[name] = tensors[name][:, :-1].copy()

    with pytest.raises(DataError) as caught:
        load_backbone(changed(tmp_path, "gpt2", cut))
    assert (
        caught.value.what.count("c_attn.weight has shape (16, 47), not (16, 48)") == 3
    )


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.names()))
def test_every_architecture_names_its_places_alike(name):
    architecture = ARCHITECTURES.get(name)()
    names = {place.name for place in architecture.places(1)}
    attention = {"query", "key", "value", "output", "norm"}
    expected = {f"layers.0.attention.{one}" for one in attention}
    expected |= {f"layers.0.ffn.{one}" for one in ("up", "down", "norm")}
    expected.add("embeddings.token")
    others = {f"embeddings.{one}" for one in ("position", "segment", "norm")}
    others |= {"norm", "pooler", "head", "layers.0.ffn.gate"}
    assert expected <= names <= expected | others
    assert set(architecture.optional) | set(architecture.top) <= names
    targets = [place.name.split(".")[-1] for place in architecture.linear_places(1)]
    assert set(architecture.default_targets) <= set(targets)


def test_an_architecture_without_a_pooler_says_so():
    loaded = load_backbone(golden("gpt2")[0])
    assert type(architecture_of(loaded.backbone)) is type(loaded.architecture)
    with pytest.raises(ConfigError) as caught:
        loaded.architecture.pooled(loaded.backbone.output)
    assert caught.value.what == "GPT2Backbone has no pooler"
    assert caught.value.fix == 'choose pooling="last"'
