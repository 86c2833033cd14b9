"""What a method computes, and what it leaves alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.conftest import move
from tests.conformance.page import contracts_page
from tests.conformance.table import CONTRACTS, METHOD_TABLE, exception, resolve
from tfft.compute.layers import spots
from tfft.core.errors import ConfigError
from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of

DOCS = Path(__file__).parents[2] / "docs" / "contracts.md"


def paths(variables):
    return [variable.path for variable in variables]


def test_every_registered_method_has_an_entry_and_every_contract_a_test():
    assert sorted(METHOD_TABLE) == METHODS.names()
    for name, entry in METHOD_TABLE.items():
        fields = {one.name for one in dataclasses.fields(METHODS.get(name))}
        assert set(entry.fields) == fields, name
    tests = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))
    assert [one for one in CONTRACTS if f"def test_{one}(" not in tests] == []


def test_the_table_in_the_docs_is_up_to_date():
    fix = "run tools/make_contract_table.py"
    assert DOCS.read_text(encoding="utf-8") == contracts_page(), fix


def test_identity_at_start(name, backbone, states, apply):
    before = states(backbone)
    apply(name, backbone, trained=False)
    after = states(backbone)
    if METHODS.get(name).identity_at_start:
        np.testing.assert_array_equal(after, before)
    else:
        assert np.abs(after - before).max() > 1e-4


def test_only_own_variables_move(name, make_training, make_batch, snapshot):
    adapter, model = make_training(resolve(name))
    before = snapshot(model.weights)
    # Two steps: as long as LoRA's B is zero, A has no gradient.
    for seed in (0, 1):
        model.train_step(make_batch(seed=seed))
    after = snapshot(model.weights)
    changed = {p for p in before if not np.array_equal(before[p], after[p])}
    own = set(paths(adapter.variables))
    expected = own | {p for p in before if METHOD_TABLE[name].is_trained(p)}
    expected |= {"classifier/kernel", "classifier/bias"}
    # A key's bias moves all scores of a query alike, which softmax takes out again:
    # its gradient is zero but for rounding.
    no_gradient = {p for p in expected if p.endswith("/key/bias")}
    assert changed - no_gradient == expected - no_gradient
    assert {v.path for v in model.trainable_variables} == expected
    changed_base = set(paths(adapter.changed_base_variables))
    assert changed_base == {p for p in expected - own if "classifier" not in p}


def test_gradient(name, make_backbone, make_batch, apply):
    # In float64, and along directions whose steps float32 variables can take.
    backbone = make_backbone(dtype="float64", num_layers=1)
    entry = {"count": 1} if name == "last_layers" else {}
    adapter = apply(name, backbone, **entry)
    batch = make_batch()
    inputs = {key: batch[key] for key in backbone.input}
    upstream = np.random.default_rng(2).normal(0, 1, (3, 7, 16))

    def loss():
        return tf.reduce_sum(upstream * backbone(inputs)["sequence_output"])

    variables = [v for v in adapter.trained if "pooled" not in v.path]
    if not variables:
        assert name == "head"
        return
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([v.value for v in variables])
        value = loss()
    gradients = tape.gradient(value, [v.value for v in variables])
    gradients = [np.array(tf.convert_to_tensor(one), "float64") for one in gradients]
    generator = np.random.default_rng(3)
    for _ in range(3):
        kept = [np.array(v.value) for v in variables]
        directions = [1e-4 * generator.normal(0, 1, v.shape) for v in variables]
        ends, values = [], []
        for sign in (1, -1):
            for variable, start, step in zip(variables, kept, directions, strict=True):
                variable.assign(start + sign * step)
            ends.append([np.array(v.value, "float64") for v in variables])
            values.append(float(loss()))
        for variable, start in zip(variables, kept, strict=True):
            variable.assign(start)
        expected = sum(
            np.sum(gradient * (up - down))
            for gradient, up, down in zip(gradients, *ends, strict=True)
        )
        size = sum(np.abs(g).sum() for g in gradients) * 1e-4
        # The third derivative, times a step of 1e-4 squared, and float32 gradients.
        np.testing.assert_allclose(values[0] - values[1], expected, 0, 2e-5 * size)


def test_same_seed(name, make_backbone, snapshot, apply):
    one, two, other = (
        snapshot(
            apply(name, make_backbone(), trained=False, seed=seed).backbone.weights
        )
        for seed in (0, 0, 1)
    )
    assert list(one) == list(two)
    for path, value in one.items():
        np.testing.assert_array_equal(two[path], value, err_msg=path)
    differs = any(not np.array_equal(other[path], one[path]) for path in one)
    assert differs is METHOD_TABLE[name].random


def test_merged(name, backbone, states, apply):
    adapter = apply(name, backbone)
    before = states(backbone)
    if exception(name, "merged"):
        with pytest.raises(ConfigError, match=f"{name} cannot be merged"):
            adapter.merge()
        np.testing.assert_array_equal(states(backbone), before)
        return
    adapter.merge()
    # 1e-5: twelve kernels rounded once each, through two layers.
    np.testing.assert_allclose(states(backbone), before, rtol=0, atol=1e-5)
    once = states(backbone)
    with pytest.raises(ConfigError, match="merged already"):
        adapter.merge()
    with pytest.raises(ConfigError, match="merged"), adapter.disable():
        pass
    np.testing.assert_array_equal(states(backbone), once)


def test_unmerged(name, backbone, states, apply, snapshot):
    adapter = apply(name, backbone)
    before, weights = states(backbone), snapshot(backbone.weights)
    with pytest.raises(ConfigError, match="not merged"):
        adapter.unmerge()
    if exception(name, "unmerged"):
        return
    adapter.merge()
    adapter.unmerge()
    for path, value in snapshot(backbone.weights).items():
        np.testing.assert_array_equal(value, weights[path], err_msg=path)
    np.testing.assert_array_equal(states(backbone), before)


def test_disabled(name, backbone, states, apply, snapshot):
    base = states(backbone)
    adapter = apply(name, backbone)
    before, weights = states(backbone), snapshot(backbone.weights)
    if exception(name, "disabled"):
        with pytest.raises(ConfigError, match="keeps no copy"), adapter.disable():
            pass
    else:
        with adapter.disable():
            # 2e-6: the masked columns of a prefix change the order of sums.
            np.testing.assert_allclose(states(backbone), base, rtol=0, atol=2e-6)
            with pytest.raises(ConfigError, match="disabled"):
                adapter.merge()
    np.testing.assert_array_equal(states(backbone), before)
    for path, value in snapshot(backbone.weights).items():
        np.testing.assert_array_equal(value, weights[path], err_msg=path)
    assert name == "head" or np.abs(before - base).max() > 1e-3


def test_unloaded(name, backbone, states, apply):
    plain, described = paths(backbone.weights), backbone.get_config()
    base = states(backbone)
    adapter = apply(name, backbone)
    expected = base
    if METHODS.get(name).mergeable:
        expected = states(backbone)
        adapter.merge()
    assert adapter.unload() is backbone
    np.testing.assert_allclose(states(backbone), expected, rtol=0, atol=1e-5)
    assert paths(backbone.weights) == plain == paths(backbone.trainable_variables)
    assert backbone.get_config() == described
    for spot in spots(backbone):
        ours = [v for v in vars(spot.layer).values() if _is_ours(v)]
        assert not _is_ours(spot.layer)
        assert not ours
    again = resolve(name).apply(backbone, architecture_of(backbone), 0)
    assert again.state == "active"


def _is_ours(value):
    return type(value).__module__.startswith("tfft.")


def test_bfloat16(name, make_backbone, make_training, make_batch, states, snapshot):
    base = make_backbone(dtype="mixed_bfloat16")
    adapter, model = make_training(resolve(name), base)
    assert {v.dtype for v in adapter.variables} <= {"float32"}
    before = snapshot(adapter.trained)
    for seed in (0, 1):
        logs = model.train_step(make_batch(seed=seed))
    assert np.isfinite(float(logs["loss"]))
    after = snapshot(adapter.trained)
    for variable in adapter.variables:
        assert not np.array_equal(before[variable.path], after[variable.path])
    exact = make_backbone()
    twin = resolve(name).apply(exact, architecture_of(exact), 0)
    for one in (adapter, twin):
        move(one)
    for ours, theirs in zip(twin.trained, adapter.trained, strict=True):
        ours.assign(np.asarray(theirs.value, "float32"))
    # bfloat16 has 8 bits: 2^-8 of states up to 3, rounded a dozen times.
    np.testing.assert_allclose(states(base), states(exact), rtol=0, atol=0.15)


def test_compiled(name, make_backbone, states, apply):
    backbone = make_backbone(num_layers=1)
    adapter = apply(name, backbone)
    for jit in (False, True):
        traced = tf.function(backbone, jit_compile=jit)
        expected = states(backbone)
        # 1e-5: XLA sums in another order.
        np.testing.assert_allclose(states(backbone, traced), expected, 0, 1e-5)
        if METHODS.get(name).reversible:
            with adapter.disable():
                expected = states(backbone)
                np.testing.assert_allclose(states(backbone, traced), expected, 0, 1e-5)
        if METHODS.get(name).mergeable:
            adapter.merge()
            expected = states(backbone)
            np.testing.assert_allclose(states(backbone, traced), expected, 0, 1e-5)
            adapter.unmerge()
        assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_families(name, family, decoders, states, apply):
    backbone = decoders(family)
    base = states(backbone)
    if family not in METHOD_TABLE[name].families:
        with pytest.raises(ConfigError, match="has no biases"):
            apply(name, backbone)
        np.testing.assert_array_equal(states(backbone), base)
        return
    adapter = apply(name, backbone, trained=False)
    if METHODS.get(name).identity_at_start:
        np.testing.assert_array_equal(states(backbone), base)
    move(adapter)
    moved = states(backbone)
    assert name == "head" or np.abs(moved - base).max() > 1e-3
    if METHODS.get(name).reversible:
        with adapter.disable():
            np.testing.assert_allclose(states(backbone), base, rtol=0, atol=2e-6)
    if METHODS.get(name).mergeable:
        adapter.merge()
        np.testing.assert_allclose(states(backbone), moved, rtol=0, atol=2e-5)
        adapter.unload()
        np.testing.assert_allclose(states(backbone), moved, rtol=0, atol=2e-5)
