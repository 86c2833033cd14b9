"""One kept trace takes a decoder a step further, whatever became of the decoder."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import tokenizers

import tfft
from tests.goldens import golden
from tfft.compute.precision import set_compute_policy
from tfft.core.errors import ConfigError
from tfft.generation import decoding_step as step
from tfft.generation.cache import CachedDecoder, decoding_step
from tfft.generation.generate import Generator
from tfft.generation.sampling import Sampling
from tfft.methods.method import METHODS
from tfft.models.pretrained import load_backbone
from tfft.models.wiring.decoder_states import decoder_states
from tfft.models.wiring.wiring import wiring_of
from tfft.text.tokenizer import Tokenizer

FAMILIES = ["greedy-gpt2", "greedy-llama", "qwen2", "mistral"]
IDS = np.random.default_rng(0).integers(3, 98, (2, 24)).astype("int32")


def backbone_of(name):
    return load_backbone(golden(name)[0]).backbone


def whole(backbone, ids, blanks):
    """Returns the last logits of all tokens at once, computed eagerly."""
    rows = []
    for row, blank in zip(ids, blanks, strict=True):
        row = row[None, blank:]
        places = np.arange(row.shape[1], dtype="int32")[None]
        wiring = wiring_of(backbone)
        states = decoder_states(wiring, row, places, np.ones_like(row))
        rows.append(backbone.token_embedding(states[:, -1:], reverse=True)[0, 0])
    return np.stack(rows).astype("float32")


def step_by_step(backbone, ids, blanks, first=6):
    decoder = CachedDecoder(backbone, np.array(blanks))
    logits = decoder(ids[:, :first])
    for place in range(first, ids.shape[1]):
        logits = decoder(ids[:, place : place + 1])
    return logits


def check(backbone, tolerance=1e-5):
    """Compares what is kept with what is computed at once, and returns it."""
    blanks = [0, 3]
    found = step_by_step(backbone, IDS, blanks)
    expected = whole(backbone, IDS, blanks)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_one_trace_serves_all_lengths_and_batches_as_long_as_the_backbone_lives(name):
    backbone = backbone_of(name)
    traced = decoding_step(backbone)
    for batch in (1, 3, 16):
        for length in range(1, 17):
            decoder = CachedDecoder(backbone, np.zeros(batch, "int32"))
            decoder(np.ones((batch, length), "int32"))
            decoder(np.ones((batch, 1), "int32"))
    assert decoding_step(backbone) is traced
    assert traced.experimental_get_tracing_count() == 1
    [concrete] = traced._list_all_concrete_functions()
    alive = [weakref.ref(backbone), weakref.ref(concrete.graph)]
    del backbone, concrete, traced, decoder
    for _ in range(2):
        gc.collect()
    assert [one() for one in alive] == [None, None]


def test_a_second_call_and_160_prompts_trace_nothing(monkeypatch):
    backbone, traced = backbone_of("greedy-llama"), []
    plain = type(wiring_of(backbone)).embed

    def embed(self, token_ids, positions):
        traced.append(token_ids)
        return plain(self, token_ids, positions)

    monkeypatch.setattr(type(wiring_of(backbone)), "embed", embed)
    words = {f"w{index} ": index for index in range(99)}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0 "))
    tokenizer = Tokenizer(library, {})
    prompts = [["w7 " * (1 + number % 9)] for number in range(160)]
    for some in (prompts[:1], prompts):
        ids = [library.encode(text).ids or [7] for [text] in some]
        for start in range(0, len(ids), 16):
            part = ids[start : start + 16]
            Generator(backbone, tokenizer, part, Sampling(max_new_tokens=2)).run()
    assert len(traced) == 1


@pytest.mark.parametrize("name", FAMILIES)
def test_older_and_recent_places_are_seen_as_one(name, monkeypatch):
    monkeypatch.setattr(step, "_RECENT", 5)
    check(backbone_of(name))


@pytest.mark.parametrize("name", ["greedy-gpt2", "qwen2"])
def test_each_change_of_an_adapter_is_seen(name):
    backbone = backbone_of(name)
    random = np.random.default_rng(1)

    def train(adapter, size=0.3):
        for variable in adapter.variables:
            variable.assign(variable + random.normal(0, size, variable.shape))

    plain = check(backbone)
    adapters = tfft.apply(backbone, tfft.LoRA(rank=2, alpha=4, target="all-linear"))
    np.testing.assert_allclose(check(backbone), plain, rtol=0, atol=1e-5)
    train(adapters)
    first = check(backbone)
    assert np.abs(first - plain).max() > 0.1
    train(adapters)
    further = check(backbone)
    assert np.abs(further - first).max() > 0.1
    with adapters.disable():
        np.testing.assert_allclose(check(backbone), plain, rtol=0, atol=1e-5)
    adapters.merge()
    np.testing.assert_allclose(check(backbone, 1e-4), further, rtol=0, atol=1e-3)
    adapters.unmerge()
    adapters.add("other", tfft.LoRA(rank=3, alpha=9))
    train(adapters)
    other = check(backbone)
    assert np.abs(other - further).max() > 0.1
    adapters.activate("default")
    np.testing.assert_allclose(check(backbone), further, rtol=0, atol=1e-5)
    adapters.activate("other")
    np.testing.assert_allclose(check(backbone), other, rtol=0, atol=1e-5)
    adapters.delete("default")
    np.testing.assert_allclose(check(backbone), other, rtol=0, atol=1e-5)
    with adapters.adapter.folded():
        np.testing.assert_allclose(check(backbone, 1e-4), other, rtol=0, atol=1e-3)
    np.testing.assert_allclose(check(backbone), other, rtol=0, atol=1e-5)
    adapters.unload()
    np.testing.assert_allclose(check(backbone), plain, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def untouched():
    """The logits of the backbone before any method changes it."""
    return np.array(check(backbone_of("greedy-gpt2")))


@pytest.mark.parametrize("method", sorted(METHODS.names()))
def test_every_method_trained_is_seen_or_refused(method, untouched):
    backbone, before = backbone_of("greedy-gpt2"), untouched
    # Traced before the method changes the layers.
    CachedDecoder(backbone, np.zeros(2, "int32"))(IDS[:, :1])
    adapter = tfft.apply(backbone, method)
    if method in ("prefix", "prompt"):
        with pytest.raises(ConfigError, match="an adapter changes how transformer_lay"):
            check(backbone)
        adapter.unload()
        np.testing.assert_array_equal(check(backbone), before)
        return
    check(backbone)
    random = np.random.default_rng(2)
    changed = adapter.adapter.trained
    for variable in changed:
        variable.assign(variable + random.normal(0, 0.3, variable.shape))
    after = check(backbone)
    assert not changed or np.abs(after - before).max() > 1e-2


def test_a_change_of_the_weights_themselves_is_seen():
    backbone = backbone_of("greedy-gpt2")
    before, traced = check(backbone), decoding_step(backbone)
    for variable in backbone.weights:
        variable.assign(variable * 1.1)
    assert np.abs(check(backbone) - before).max() > 0.1
    assert decoding_step(backbone) is traced


def test_a_change_of_precision_is_seen():
    backbone = backbone_of("greedy-llama")
    before = check(backbone)
    set_compute_policy(backbone, "mixed_bfloat16")
    narrow = check(backbone, 0.2)
    assert np.abs(narrow - before).max() > 1e-3
    set_compute_policy(backbone, "float32")
    np.testing.assert_array_equal(check(backbone), before)


def test_a_changed_setting_of_a_layer_is_seen():
    backbone = backbone_of("greedy-llama")
    adapters = tfft.apply(backbone, tfft.LoRA(rank=2))
    for variable in adapters.variables:
        variable.assign(variable + 0.3)
    before = check(backbone)
    for scale in (0.0, 1.0):
        for one in adapters.adapter.injected:
            one.layer.set_scale(scale)
        now = check(backbone)
        assert np.abs(now - before).max() > 0.05
        before = now


def test_two_generations_at_a_time_do_not_mix():
    backbone = backbone_of("greedy-llama")
    alone = [step_by_step(backbone, ids[None], [0]) for ids in IDS]
    decoders = [CachedDecoder(backbone, np.zeros(1, "int32")) for _ in IDS]
    for place in range(IDS.shape[1]):
        ids = IDS[:, None, place : place + 1]
        both = [decoder(one) for decoder, one in zip(decoders, ids, strict=True)]
    np.testing.assert_allclose(both, alone, rtol=0, atol=1e-5)
