"""Several adapters on one backbone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfft
from tfft.compute.layers import spots
from tfft.core.errors import ConfigError
from tfft.methods.combine import Factors, combine


@pytest.fixture
def states(make_batch):
    batch = make_batch()

    def compute(backbone, call=None):
        inputs = {key: batch[key] for key in backbone.input}
        return np.array((call or backbone)(inputs)["sequence_output"])

    return compute


def randomise(applied, seed):
    generator = np.random.default_rng(seed)
    for variable in applied.adapter.trained:
        start = np.array(variable.value)
        variable.assign(start + generator.normal(0, 0.2, variable.shape))


def alone(make_backbone, applied, states):
    """What the active adapter computes on a backbone of its own."""
    backbone = make_backbone()
    twin = tfft.apply(backbone, applied.adapter.method).adapter
    for ours, theirs in zip(twin.trained, applied.adapter.trained, strict=True):
        ours.assign(np.array(theirs.value))
    return states(backbone)


METHODS = {
    "default": tfft.LoRA(rank=2, bias="lora_only"),
    "second": tfft.LoRA(rank=3, target="all-linear", use_dora=True),
    "third": tfft.IA3(),
    "fourth": tfft.Bottleneck(size=3),
    "fifth": tfft.Prefix(length=2),
    "sixth": tfft.Prompt(length=2),
    "seventh": tfft.BitFit(),
    "eighth": tfft.Sparse(),
}


def test_each_computes_what_it_computes_alone_whatever_else_is_there(
    make_backbone, states
):
    backbone = make_backbone()
    base = states(backbone)
    applied = tfft.apply(backbone, METHODS["default"])
    randomise(applied, 0)
    expected = {"default": states(backbone)}
    for seed, (name, method) in enumerate(list(METHODS.items())[1:], 1):
        applied.add(name, method)
        randomise(applied, seed)
        expected[name] = alone(make_backbone, applied, states)
    traced = tf.function(backbone)
    for name in ("third", "default", *reversed(METHODS)):
        applied.activate(name)
        # 3e-6: closed gates of prefixes change the order of sums.
        np.testing.assert_allclose(states(backbone, traced), expected[name], 0, 3e-6)
        trained = {v.path for v in backbone.trainable_variables}
        assert trained == {v.path for v in applied.adapter.trained}
        with applied.disable():
            np.testing.assert_allclose(states(backbone, traced), base, 0, 3e-6)
    assert len({v.path for v in backbone.weights}) == len(backbone.weights)
    # From within the stack of layers, in an order of no system.
    applied.activate("second")
    for name in ("third", "default", "eighth", "fifth", "seventh", "fourth", "sixth"):
        applied.delete(name)
        np.testing.assert_allclose(states(backbone), expected["second"], 0, 3e-6)
    assert applied.names == ["second"]
    applied.merge()
    assert applied.unload() is backbone
    np.testing.assert_allclose(states(backbone), expected["second"], 0, 1e-5)
    plain = make_backbone()
    assert [v.path for v in backbone.weights] == [v.path for v in plain.weights]
    ours = [s for s in spots(backbone) if type(s.layer).__module__.startswith("tfft")]
    assert ours == []


def test_a_merged_and_unloaded_backbone_is_saved_and_loaded_as_kerashub_does(
    make_backbone, states, tmp_path
):
    import keras_hub

    backbone = make_backbone()
    applied = tfft.apply(backbone, tfft.LoRA(rank=2, target="all-linear"))
    randomise(applied, 0)
    expected = states(backbone)
    applied.merge()
    applied.unload()
    backbone.save_to_preset(str(tmp_path / "preset"))
    loaded = keras_hub.models.BertBackbone.from_preset(str(tmp_path / "preset"))
    np.testing.assert_array_equal(states(loaded), states(backbone))
    np.testing.assert_allclose(states(loaded), expected, 0, 1e-5)
    assert "tfft" not in (tmp_path / "preset" / "config.json").read_text()


@pytest.mark.parametrize("how", ["linear", "cat", "svd"])
def test_combined_adapters_change_the_kernels_as_peft_says(make_backbone, how, states):
    backbone = make_backbone()
    applied = tfft.apply(backbone, tfft.LoRA(rank=2, alpha=6))
    randomise(applied, 0)
    applied.add("other", tfft.LoRA(rank=2, alpha=1))
    randomise(applied, 1)
    weights = [0.7, 0.4]
    pairs = []
    for name, scale in (("default", 3.0), ("other", 0.5)):
        applied.activate(name)
        layers = [one.layer for one in applied.adapter.injected]
        pairs.append([(np.array(x.lora_a), np.array(x.lora_b), scale) for x in layers])
    applied.combine("both", ["default", "other"], weights, how, rank=4)
    assert applied.active == "both"
    for one, first, second in zip(applied.adapter.injected, *pairs, strict=True):
        deltas = [s * a @ b for a, b, s in (first, second)]
        expected = sum(w * delta for w, delta in zip(weights, deltas, strict=True))
        if how == "linear":
            roots = [np.sqrt(w * s) for w, s in zip(weights, (3.0, 0.5), strict=True)]
            a = roots[0] * first[0] + roots[1] * second[0]
            expected = a @ (roots[0] * first[1] + roots[1] * second[1])
        found = np.array(one.layer.delta_matrix())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert one.layer.rank == {"linear": 2, "cat": 4, "svd": 4}[how]


def test_linear_puts_the_sign_of_a_negative_weight_on_a():
    generator = np.random.default_rng(0)
    first, second = (
        Factors(generator.normal(size=(6, 2)), generator.normal(size=(2, 5)), scale)
        for scale in (2.0, 0.5)
    )
    found = combine([first, second], [1.5, -0.5], "linear").delta
    expected = (np.sqrt(3) * first.a - 0.5 * second.a) @ (
        np.sqrt(3) * first.b + 0.5 * second.b
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    alone = combine([second], [-1.0], "linear").delta
    np.testing.assert_allclose(alone, -second.delta, rtol=0, atol=1e-12)


def test_svd_of_a_smaller_rank_is_the_best_approximation():
    generator = np.random.default_rng(0)
    parts = [
        Factors(generator.normal(size=(6, 2)), generator.normal(size=(2, 5)), 1.0)
        for _ in range(2)
    ]
    total = parts[0].delta + parts[1].delta
    found = combine(parts, [1, 1], "svd", rank=3).delta
    singular = np.linalg.svd(total, compute_uv=False)
    # Eckart and Young: what is left is the singular values that were dropped.
    np.testing.assert_allclose(np.linalg.norm(total - found), singular[3], rtol=1e-6)


def test_what_cannot_be_meant_is_refused_and_changes_nothing(backbone, states):
    applied = tfft.apply(backbone, tfft.LoRA(rank=2))
    randomise(applied, 0)
    before = states(backbone)
    with pytest.raises(ConfigError, match="'default'"):
        applied.add("default", "ia3")
    with pytest.raises(ConfigError, match=r"adapter name '\.\./x'"):
        applied.add("../x", "ia3")
    with pytest.raises(ConfigError, match="full cannot be one of several"):
        applied.add("more", "full")
    with pytest.raises(ConfigError, match="matches no layer"):
        applied.add("more", tfft.LoRA(target="nothing"))
    with pytest.raises(ConfigError, match="no adapter named 'defalt'") as caught:
        applied.activate("defalt")
    assert caught.value.fix == 'did you mean "default"?'
    with pytest.raises(ConfigError, match="is the active adapter"):
        applied.delete("default")
    with pytest.raises(ConfigError, match="1 adapters with 2 weights"):
        applied.combine("more", ["default"], [1, 2])
    np.testing.assert_array_equal(states(backbone), before)
    applied.add("ia3", "ia3")
    with pytest.raises(ConfigError, match="ia3 adapters cannot be combined"):
        applied.combine("more", ["default", "ia3"], [1, 1])
    applied.add("key", tfft.LoRA(rank=3, target="key"))
    with pytest.raises(ConfigError, match="adapt different places"):
        applied.combine("more", ["default", "key"], [1, 1])
    applied.add("wide", tfft.LoRA(rank=3))
    with pytest.raises(ConfigError, match="how='linear' with ranks"):
        applied.combine("more", ["default", "wide"], [1, 1], "linear")
    assert applied.active == "wide"
    applied.activate("default")
    applied.merge()
    with pytest.raises(ConfigError, match="merged"):
        applied.activate("wide")
    assert applied.active == "default"
    applied.unmerge()
    np.testing.assert_array_equal(states(backbone), before)


def test_a_method_that_a_layer_has_of_its_own_is_put_back(backbone, states):
    from tfft.compute.layers import layers_by_path

    path = "transformer_layer_0/self_attention_layer"
    layer = layers_by_path(backbone)[path]
    plain, calls = layer._compute_attention, []

    def counted(
        query,
        key,
        value,
        attention_mask=None,
        training=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        calls.append(key.shape[1])
        return plain(query, key, value, attention_mask, training)

    layer._compute_attention = counted
    applied = tfft.apply(backbone, tfft.Prefix(length=2))
    applied.add("more", tfft.Prefix(length=3))
    states(backbone)
    assert calls[-1] == 7 + 2 + 3
    applied.unload()
    states(backbone)
    assert calls[-1] == 7
    assert vars(layer)["_compute_attention"] is counted
