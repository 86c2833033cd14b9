"""Greedy ids are those of transformers, token by token.

Fifty prompts of 1 to 19 ids in one batch; the reference was generated one by one, in
float64, by torch.
"""

from __future__ import annotations

import numpy as np
import pytest
import tokenizers

from tests.goldens import golden
from tfft.core.errors import DataError
from tfft.generation.generate import Generator
from tfft.generation.sampling import Sampling
from tfft.models.pretrained import load_backbone
from tfft.text.tokenizer import Tokenizer

MODELS = ["greedy-gpt2", "greedy-llama", "greedy-llama-untied"]
NEW = 12


@pytest.fixture(scope="module")
def tokenizer():
    words = {f"w{index} ": index for index in range(99)}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0 "))
    return Tokenizer(library, {})


def given(name):
    folder, inputs, outputs = golden(name)
    prompts = [
        ids[:length].tolist()
        for ids, length in zip(inputs["prompts"], inputs["lengths"], strict=True)
    ]
    return load_backbone(folder).backbone, prompts, outputs


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("key", "penalty"), [("greedy", 1.0), ("penalised", 1.3)])
def test_ids_are_those_of_transformers(name, key, penalty, tokenizer):
    backbone, prompts, outputs = given(name)
    sampling = Sampling(max_new_tokens=NEW, repetition_penalty=penalty)
    found = Generator(backbone, tokenizer, prompts, sampling).run()
    assert [list(one.token_ids) for one in found] == outputs[key].tolist()
    assert {one.finish for one in found} == {"length"}


def test_what_a_batch_holds_beside_a_prompt_changes_nothing(tokenizer):
    backbone, prompts, outputs = given("greedy-llama")
    sampling = Sampling(max_new_tokens=NEW)
    for row in (0, 7):
        alone = Generator(backbone, tokenizer, [prompts[row]], sampling).run()
        assert list(alone[0].token_ids) == outputs["greedy"][row].tolist()


def test_an_end_ends_one_row_and_not_the_others(tokenizer):
    backbone, prompts, outputs = given("greedy-gpt2")
    expected = outputs["greedy"].tolist()
    end = expected[3][4]
    sampling = Sampling(max_new_tokens=NEW, stop_tokens=end)
    found = Generator(backbone, tokenizer, prompts, sampling).run()
    for one, ids in zip(found, expected, strict=True):
        kept = ids[: ids.index(end)] if end in ids else ids
        assert list(one.token_ids) == kept
        assert one.finish == ("stop" if end in ids else "length")
    assert len({one.finish for one in found}) == 2


def test_a_stop_string_is_cut_off_and_streamed_text_is_the_text(tokenizer):
    backbone, prompts, outputs = given("greedy-gpt2")
    library = tokenizer.library
    text = library.decode(outputs["greedy"][0].tolist())
    stop = text[len(text) // 2 :][:4]
    sampling = Sampling(max_new_tokens=NEW, stop=stop)
    generator = Generator(backbone, tokenizer, prompts[:3], sampling, first=5)
    pieces = list(generator)
    found = generator.run()
    assert found[0].text == text[: text.index(stop)]
    assert found[0].finish == "stop"
    assert len(pieces) > 3
    for row, one in enumerate(found):
        streamed = "".join(piece.text for piece in pieces if piece.row == row + 5)
        assert streamed == one.text


def test_draws_depend_on_the_seed_and_the_prompt_alone(tokenizer):
    backbone, prompts, _ = given("greedy-gpt2")
    warm = {"max_new_tokens": 6, "temperature": 1.5}

    def ids(first, seed):
        sampling = Sampling(**warm, seed=seed)
        found = Generator(backbone, tokenizer, prompts[first:4], sampling, first).run()
        return [one.token_ids for one in found]

    assert ids(0, 1)[2:] == ids(2, 1)
    assert len(set(ids(0, 1))) == 4
    assert ids(0, 1) != ids(0, 2)


def test_prompts_that_leave_no_room_are_refused(tokenizer):
    backbone, prompts, _ = given("greedy-gpt2")
    few = Sampling(max_new_tokens=3)
    with pytest.raises(DataError, match=r"prompt 2 has 30 tokens .* at most 32"):
        Generator(backbone, tokenizer, [prompts[0], [5] * 30], few)
    with pytest.raises(DataError, match="prompt 1 has no tokens"):
        Generator(backbone, tokenizer, [[]], Sampling())
    with pytest.raises(DataError, match="no token 'nope'"):
        Generator(backbone, tokenizer, prompts, Sampling(
            max_new_tokens=1, stop_tokens="nope"))  # fmt: skip


def test_no_prompts_are_no_work(tokenizer):
    backbone, _, _ = given("greedy-gpt2")
    assert Generator(backbone, tokenizer, [], Sampling()).run() == []


@pytest.mark.parametrize("name", ["greedy-llama", "qwen2", "mistral"])
def test_the_cache_gives_the_logits_of_the_whole(name):
    from tfft.generation.cache import CachedDecoder
    from tfft.models.wiring.decoder_states import decoder_states
    from tfft.models.wiring.wiring import wiring_of

    backbone = load_backbone(golden(name)[0]).backbone
    ids = np.random.default_rng(0).integers(3, 98, (2, 9)).astype("int32")
    decoder = CachedDecoder(backbone, np.zeros(2, "int32"))
    decoder(ids[:, :6])
    decoder(ids[:, 6:8])
    last = decoder(ids[:, 8:])
    places = np.tile(np.arange(9, dtype="int32"), (2, 1))
    states = decoder_states(wiring_of(backbone), ids, places, np.ones_like(ids))
    whole = backbone.token_embedding(states[:, -1:], reverse=True)[:, 0]
    # Sums of 16 products in another order: some roundings of 6e-8 of values near 10.
    np.testing.assert_allclose(last, whole, rtol=0, atol=1e-5)
