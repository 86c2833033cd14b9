"""Models of transformers: each architecture, and the config values that matter."""

from __future__ import annotations

import json
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
    """Writes the config and weights only."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def by_row(model: Any, ids: Any, mask: Any, pick: Any) -> list[torch.Tensor]:
    """Returns the outputs of each row computed separately without padding, then padded.

    In float64, so that differences are the other library's rounding. Separately,
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
    """Every config value differs from its default; no head, no prefix."""
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
    """Like SmolLM2: a tied head and another base for the rotary positions."""
    config = hf.LlamaConfig(
        **_DECODER,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
    )
    _language_model(folder, hf.LlamaForCausalLM(config), seed=13)


@golden("llama3-rope")
def _llama3(folder: Path) -> None:
    """The rotary scaling of Llama 3.1, effective within 11 tokens."""
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
    """A window shorter than the texts, and heads wider than hidden size / heads."""
    config = hf.MistralConfig(**_DECODER, head_dim=6, sliding_window=4)
    _language_model(folder, hf.MistralForCausalLM(config), seed=16)


_ENCODER = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "attn_implementation": "eager",
}
_DISTILBERT = {
    "vocab_size": _VOCABULARY,
    "dim": 16,
    "hidden_dim": 24,
    "n_layers": 2,
    "n_heads": 2,
    "max_position_embeddings": 32,
    "attn_implementation": "eager",
}


def _encoder(
    folder: Path, model: Any, seed: int, segments: bool = False, logits: bool = True
) -> None:
    """Writes an encoder with its last states, and its head's logits."""
    save_model(folder, randomise(model, seed))
    ids, mask = ids_and_mask(model.config.vocab_size)
    inputs = {"token_ids": ids, "padding_mask": mask}
    if segments:
        inputs["segment_ids"] = (torch.arange(ids.shape[1]) > 4).int() * mask
    outputs = []
    model.double()
    for row in range(len(ids)):
        length = mask[row].sum()
        given = {"token_type_ids": inputs["segment_ids"]} if segments else {}
        one = model(
            ids[None, row, :length],
            output_hidden_states=True,
            **{name: value[None, row, :length] for name, value in given.items()},
        )
        parts = {"sequence": one.hidden_states[-1]}
        if one.get("pooler_output") is not None:
            parts["pooled"] = one.pooler_output
        for name in ("logits", "start_logits", "end_logits"):
            if logits and one.get(name) is not None:
                parts[name] = one[name]
        outputs.append(parts)
    stacked = {
        name: torch.nn.utils.rnn.pad_sequence(
            [parts[name][0] for parts in outputs], batch_first=True
        )
        for name in outputs[0]
    }
    save_reference(folder, inputs, stacked)


@golden("bert")
def _bert(folder: Path) -> None:
    """Two segments, and the erf form of GELU."""
    config = hf.BertConfig(**_ENCODER | {"num_hidden_layers": 2})
    _encoder(folder, hf.BertModel(config), seed=20, segments=True)


@golden("bert-classifier")
def _bert_classifier(folder: Path) -> None:
    """The tanh form of GELU, another epsilon, a head of three named labels."""
    config = hf.BertConfig(
        **_ENCODER,
        hidden_act="gelu_new",
        layer_norm_eps=1e-2,
        id2label={0: "no", 1: "maybe", 2: "yes"},
    )
    model = hf.BertForSequenceClassification(config)
    _encoder(folder, model, seed=21, segments=True)


@golden("bert-tokens")
def _bert_tokens(folder: Path) -> None:
    config = hf.BertConfig(**_ENCODER, num_labels=5)
    _encoder(folder, hf.BertForTokenClassification(config), seed=22, segments=True)


@golden("bert-answers")
def _bert_answers(folder: Path) -> None:
    config = hf.BertConfig(**_ENCODER)
    _encoder(folder, hf.BertForQuestionAnswering(config), seed=23, segments=True)


@golden("bert-masked")
def _bert_masked(folder: Path) -> None:
    """Its own head, and no pooler."""
    config = hf.BertConfig(**_ENCODER)
    model = hf.BertForMaskedLM(config)
    _encoder(folder, model, seed=24, segments=True, logits=False)


@golden("roberta")
def _roberta(folder: Path) -> None:
    """Two segments, of which the first is added everywhere; positions from 2."""
    config = hf.RobertaConfig(
        **_ENCODER | {"num_hidden_layers": 2}, type_vocab_size=2, layer_norm_eps=1e-5
    )
    _encoder(folder, hf.RobertaModel(config), seed=25)


@golden("roberta-classifier")
def _roberta_classifier(folder: Path) -> None:
    """One segment, and another padding id, so positions from 4."""
    config = hf.RobertaConfig(**_ENCODER, type_vocab_size=1, pad_token_id=3)
    _encoder(folder, hf.RobertaForSequenceClassification(config), seed=26)


@golden("distilbert")
def _distilbert(folder: Path) -> None:
    _encoder(folder, hf.DistilBertModel(hf.DistilBertConfig(**_DISTILBERT)), seed=27)


@golden("distilbert-classifier")
def _distilbert_classifier(folder: Path) -> None:
    config = hf.DistilBertConfig(**_DISTILBERT | {"n_layers": 1}, activation="relu")
    _encoder(folder, hf.DistilBertForSequenceClassification(config), seed=28)


@golden("config-defaults")
def _defaults(folder: Path) -> None:
    """Defaults in transformers for keys missing from a config.json, by family."""
    families = ("bert", "roberta", "distilbert", "gpt2", "llama", "mistral", "qwen2")
    configs = {name: hf.AutoConfig.for_model(name) for name in families}
    values = {
        name: {
            "numbers": {
                key: value
                for key, value in config.to_dict().items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            },
            "other_names": config.attribute_map,
        }
        for name, config in configs.items()
    }
    text = json.dumps(values, indent=1, sort_keys=True)
    (folder / "reference.json").write_text(text + "\n")
