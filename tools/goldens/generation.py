"""Greedy texts of small decoders, each prompt generated separately."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf

from goldens import golden, randomise, save_reference
from goldens.models import _DECODER, _GPT2, save_model

_PROMPTS, _LONGEST, _NEW = 50, 19, 12


def _greedy(folder: Path, model: Any, seed: int) -> None:
    """Writes a model with 50 prompts of 1 to 19 ids and its greedy continuations.

    The end token does not stop a text here, so every row gets the same number of new
    ids.
    """
    save_model(folder, randomise(model, seed))
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, _LONGEST + 1, (_PROMPTS,), generator=generator)
    prompts = torch.randint(3, 98, (_PROMPTS, _LONGEST), generator=generator)
    model.generation_config.eos_token_id = None
    model.double()
    outputs = {}
    for name, penalty in (("greedy", 1.0), ("penalised", 1.3)):
        rows = [
            model.generate(
                prompt[None, :length],
                attention_mask=torch.ones(1, length, dtype=torch.long),
                max_new_tokens=_NEW,
                do_sample=False,
                repetition_penalty=penalty,
                pad_token_id=0,
            )[0, length:]
            for prompt, length in zip(prompts, lengths, strict=True)
        ]
        outputs[name] = torch.stack(rows)
    save_reference(folder, {"prompts": prompts, "lengths": lengths}, outputs)


@golden("greedy-gpt2")
def _gpt2(folder: Path) -> None:
    _greedy(folder, hf.GPT2LMHeadModel(hf.GPT2Config(**_GPT2)), seed=40)


@golden("greedy-llama")
def _llama(folder: Path) -> None:
    config = hf.LlamaConfig(**_DECODER, tie_word_embeddings=True)
    _greedy(folder, hf.LlamaForCausalLM(config), seed=41)


@golden("greedy-llama-untied")
def _llama_untied(folder: Path) -> None:
    config = hf.LlamaConfig(**_DECODER, tie_word_embeddings=False)
    _greedy(folder, hf.LlamaForCausalLM(config), seed=42)
