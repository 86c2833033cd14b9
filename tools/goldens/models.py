"""Models of transformers: each architecture, and the configs it must follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf

from goldens import golden, ids_and_mask, randomise, save_reference

_VOCABULARY = 99
_SMALL = {"vocab_size": _VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2}
_DECODER = {
    **_SMALL,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "attn_implementation": "eager",
}
_GPT2 = {
    "vocab_size": _VOCABULARY,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 32,
    "bos_token_id": 98,
    "eos_token_id": 98,
    "attn_implementation": "eager",
}


def save_model(folder: Path, model: Any) -> None:
    """Writes config and weights alone."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def by_row(model: Any, ids: Any, mask: Any, pick: Any) -> list[torch.Tensor]:
    """Returns outputs of each row computed alone and without its padding, then padded.

    In float64, so what differs from them is the other side's rounding. Alone,
    because padding must not matter, and because a row of padding alone may be NaN.
    """
    model.double()
    rows = [
        pick(model(ids[None, row][:, : mask[row].sum()], output_hidden_states=True))
        for row in range(len(ids))
    ]
    return [
        torch.nn.utils.rnn.pad_sequence([one[0] for one in part], batch_first=True)
        for part in zip(*rows, strict=True)
    ]


def _language_model(folder: Path, model: Any, seed: int) -> None:
    """Writes a causal language model with its last states and logits."""
    save_model(folder, randomise(model, seed))
    ids, mask = ids_and_mask(model.config.vocab_size)
    states, logits = by_row(
        model, ids, mask, lambda out: (out.hidden_states[-1], out.logits)
    )
    save_reference(
        folder,
        {"token_ids": ids, "padding_mask": mask},
        {"sequence": states, "logits": logits},
    )


@golden("gpt2")
def _gpt2(folder: Path) -> None:
    _language_model(folder, hf.GPT2LMHeadModel(hf.GPT2Config(**_GPT2)), seed=10)


@golden("gpt2-config")
def _gpt2_config(folder: Path) -> None:
    """Every choice of the config other than the default; no head, no prefix."""
    config = hf.GPT2Config(
        **_GPT2, n_inner=40, layer_norm_epsilon=1e-2, activation_function="gelu"
    )
    model = randomise(hf.GPT2Model(config), seed=11)
    save_model(folder, model)
    ids, mask = ids_and_mask(_VOCABULARY)
    [states] = by_row(model, ids, mask, lambda out: (out.last_hidden_state,))
    save_reference(
        folder, {"token_ids": ids, "padding_mask": mask}, {"sequence": states}
    )


@golden("llama")
def _llama(folder: Path) -> None:
    """An untied head and fewer heads for keys and values."""
    config = hf.LlamaConfig(**_DECODER, rms_norm_eps=1e-3, tie_word_embeddings=False)
    _language_model(folder, hf.LlamaForCausalLM(config), seed=12)


@golden("llama-tied")
def _llama_tied(folder: Path) -> None:
    """As SmolLM2: a tied head and another base of the rotary positions."""
    config = hf.LlamaConfig(
        **_DECODER,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
    )
    _language_model(folder, hf.LlamaForCausalLM(config), seed=13)


@golden("llama3-rope")
def _llama3(folder: Path) -> None:
    """The rotary scaling of Llama 3.1, within reach of 11 tokens."""
    config = hf.LlamaConfig(
        **{**_DECODER, "num_attention_heads": 2, "num_key_value_heads": 1},
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    )
    _language_model(folder, hf.LlamaForCausalLM(config), seed=14)


@golden("qwen2")
def _qwen2(folder: Path) -> None:
    config = hf.Qwen2Config(**_DECODER, tie_word_embeddings=True)
    _language_model(folder, hf.Qwen2ForCausalLM(config), seed=15)


@golden("mistral")
def _mistral(folder: Path) -> None:
    """A window shorter than the texts, and heads wider than their share."""
    config = hf.MistralConfig(**_DECODER, head_dim=6, sliding_window=4)
    _language_model(folder, hf.MistralForCausalLM(config), seed=16)
