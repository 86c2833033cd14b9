"""Which layers LoRA adapts, how many weights that takes, and how it says no."""

import numpy as np
import pytest

from tfft.core.errors import ConfigError
from tfft.methods.lora import LoRA
from tfft.models.architecture import ARCHITECTURES, architecture_of

PLACES = (
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "ffn.up",
    "ffn.down",
)


def places(*tails, layers=(0, 1)):
    return [f"layers.{i}.{tail}" for i in layers for tail in tails]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, places("attention.query", "attention.value")),
        ("query", places("attention.query")),
        ("query,key", places("attention.query", "attention.key")),
        (("layers.1.attention.value",), places("attention.value", layers=[1])),
        ("attention.output", places("attention.output")),
        # PEFT's names, where output.dense alone ends two of them.
        ("attention.output.dense", places("attention.output")),
        ("output.dense", places("attention.output", "ffn.down")),
        ("intermediate.dense", places("ffn.up")),
        ("encoder.layer.0.attention.self.key", places("attention.key", layers=[0])),
        ("layers.0.ffn.*", places(*PLACES[4:], layers=[0])),
        ("layers.[!0].*.query", places("attention.query", layers=[1])),
        (r"re:layers\.\d\.attention\.(key|value)", places(*PLACES[1:3])),
        ("all-linear", places(*PLACES)),
    ],
)
def test_patterns_mean_the_places_they_say(target, expected):
    found = LoRA(rank=2, target=target).places(ARCHITECTURES.get("bert")(), 2)
    assert [place.name for place in found] == expected


def test_the_places_meant_are_the_ones_adapted(backbone):
    method = LoRA(rank=2, target="output.dense,layers.1.*.query")
    adapter = method.apply(backbone, architecture_of(backbone), seed=0)
    assert [one.place.name for one in adapter.injected] == [
        "layers.0.attention.output",
        "layers.0.ffn.down",
        "layers.1.attention.query",
        "layers.1.attention.output",
        "layers.1.ffn.down",
    ]
    assert len(backbone.trainable_variables) == 2 * 5
    for one in adapter.injected:
        assert [v.path for v in one.layer.adapter_variables] == [
            f"{one.place.path}/lora_a",
            f"{one.place.path}/lora_b",
        ]


@pytest.mark.parametrize(
    ("target", "fix"),
    [("qery", 'did you mean "query"?'), ("pooler", ""), (r"re:\d+", "")],
)
def test_a_pattern_for_no_layer_names_those_there_are(target, fix, backbone):
    before = [v.path for v in backbone.weights]
    with pytest.raises(ConfigError, match="matches no layer") as caught:
        LoRA(target=("query", target)).apply(backbone, architecture_of(backbone), 0)
    assert repr(target) in caught.value.what
    assert all(place in caught.value.expected for place in PLACES)
    assert caught.value.fix == (fix or "see tfft inspect --model")
    assert [v.path for v in backbone.weights] == before


def test_a_broken_regular_expression_is_refused(backbone):
    with pytest.raises(ConfigError, match="not a regular expression"):
        LoRA(target="re:(").apply(backbone, architecture_of(backbone), 0)


def test_pefts_spellings_mean_the_same():
    theirs = LoRA(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=["key", "value"])
    assert theirs == LoRA(rank=4, alpha=8.0, dropout=0.1, target=("key", "value"))


@pytest.mark.parametrize(
    "options",
    [{"rank": 0}, {"alpha": 0.0}, {"dropout": 1.0}, {"dropout": -0.1}, {"r": 70000}],
)
def test_values_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        LoRA(**options)


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, 2.0),
        ({"rank": 4}, 4.0),
        ({"rank": 16, "alpha": 4.0, "use_rslora": True}, 1.0),
    ],
)
def test_rank_alpha_and_rslora_give_the_layers_their_scale(options, scale, backbone):
    adapter = LoRA(**options).apply(backbone, architecture_of(backbone), 0)
    assert {one.layer.scale for one in adapter.injected} == {scale}


def test_each_layer_starts_with_an_a_of_its_own(backbone):
    adapter = LoRA().apply(backbone, architecture_of(backbone), 0)
    starts = [np.array(one.layer.lora_a).tobytes() for one in adapter.injected]
    assert len(set(starts)) == 4


def test_another_seed_gives_another_a(make_backbone):
    pair = []
    for seed in (0, 1):
        backbone = make_backbone()
        adapter = LoRA().apply(backbone, architecture_of(backbone), seed)
        pair.append(np.array(adapter.variables[0]))
    assert np.abs(pair[0] - pair[1]).min() > 0


def test_on_the_shape_of_minilm_rank_8_trains_73728_weights(
    make_backbone, make_training
):
    backbone = make_backbone(
        num_layers=6, num_heads=12, hidden_dim=384, intermediate_dim=1536
    )
    adapter, model = make_training("lora", backbone, rank=8)
    assert len(adapter.variables) == 2 * 2 * 6
    added = sum(int(np.prod(v.shape)) for v in adapter.variables)
    assert added == 2 * 6 * 8 * (384 + 384) == 73_728
    trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trained == 73_728 + 384 * 2 + 2
