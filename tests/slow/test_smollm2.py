"""Greedy generation of a real pretrained decoder, token by token.

Needs the folder that `tools/gguf_to_huggingface.py` makes, in the environment variable
TFFT_SMOLLM2, with the `greedy.json` of `tools/make_greedy_reference.py` in it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import tfft

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder():
    path = Path(os.environ.get("TFFT_SMOLLM2", ""))
    if not (path / "greedy.json").is_file():
        pytest.skip("TFFT_SMOLLM2 names no folder with a model and greedy.json")
    return path


def test_fifty_prompts_in_one_batch_are_those_of_transformers(folder):
    results = json.loads((folder / "greedy.json").read_text())["results"]
    prompts = [one["prompt"] for one in results]
    new = len(results[0]["ids"])
    found = tfft.generate(folder, prompts, batch_size=50, max_new_tokens=new)
    end = tfft.read_tokenizer(folder).eos_id
    for one, expected in zip(found, results, strict=True):
        # An end ends a row here, and is no part of it.
        assert list(one.token_ids) == [id for id in expected["ids"] if id != end]


def test_a_chat_is_answered_with_sense(folder):
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    [answer] = tfft.generate(folder, [asked], max_new_tokens=20)
    assert "Paris" in answer.text
    assert answer.finish == "stop"
