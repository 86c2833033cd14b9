"""Adapters of PEFT on small models of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch
import transformers as hf

from goldens import golden, ids_and_mask, randomise, save_reference
from goldens.models import by_row, save_model

_VOCABULARY = 40
_BERT = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "attn_implementation": "eager",
    "num_labels": 3,
}
_GPT2 = {
    "vocab_size": _VOCABULARY,
    "n_embd": 8,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 16,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "attn_implementation": "eager",
}
_LLAMA = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "intermediate_size": 12,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    "attn_implementation": "eager",
}


def _write(folder: Path, base: Any, config: Any, seed: int) -> None:
    """Writes the base, the adapter, inputs, and the outputs of base plus adapter."""
    save_model(folder / "base", randomise(base, seed))
    model = peft.get_peft_model(base, config)
    _randomise_adapter(model, seed + 1)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    ids, mask = ids_and_mask(_VOCABULARY, length=9)
    first = model.eval()(ids[:1], output_hidden_states=True)
    names = ["sequence", *(["logits"] if hasattr(first, "logits") else [])]

    def pick(out: Any) -> list[torch.Tensor]:
        states = out.hidden_states[-1]
        if not hasattr(out, "logits"):
            return [states]
        # A row has one vector of logits, stored as a sequence of one state.
        single = out.logits.dim() == 2
        return [states, out.logits[:, None] if single else out.logits]

    values = by_row(model, ids, mask, pick)
    save_reference(
        folder,
        {"token_ids": ids, "padding_mask": mask},
        dict(zip(names, values, strict=True)),
    )


def _randomise_adapter(model: Any, seed: int) -> None:
    """Adds a random value to everything that trains."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in model.named_parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.3 * noise)


def _bert(head: str) -> Any:
    return lambda: getattr(hf, f"Bert{head}")(hf.BertConfig(**_BERT))


def _roberta() -> Any:
    config = hf.RobertaConfig(**{**_BERT, "max_position_embeddings": 18})
    return hf.RobertaForSequenceClassification(config)


def _gpt2() -> Any:
    return hf.GPT2LMHeadModel(hf.GPT2Config(**_GPT2))


def _llama(**options: Any) -> Any:
    return hf.LlamaForCausalLM(hf.LlamaConfig(**_LLAMA, **options))


def _lora(task: str | None, **options: Any) -> Any:
    return lambda: peft.LoraConfig(task_type=task, **{"r": 3, **options})


def _ia3(task: str | None, **options: Any) -> Any:
    return lambda: peft.IA3Config(task_type=task, **options)


_SEQ_CLS, _CAUSAL_LM = "ForSequenceClassification", "CAUSAL_LM"
_CASES = {
    "peft-bert-seq-cls": (_bert(_SEQ_CLS), _lora("SEQ_CLS", lora_alpha=7)),
    "peft-bert-token-cls": (
        _bert("ForTokenClassification"),
        _lora("TOKEN_CLS", bias="lora_only", lora_dropout=0.1),
    ),
    "peft-bert-dora": (
        _bert("Model"),
        _lora(None, use_dora=True, target_modules=["query", "output.dense"]),
    ),
    "peft-bert-rslora-patterns": (
        _bert(_SEQ_CLS),
        _lora(
            "SEQ_CLS",
            use_rslora=True,
            target_modules=r".*layer\.\d+\..*(query|value|intermediate\.dense)",
            rank_pattern={"layer.0.attention.self.query": 2, "intermediate.dense": 4},
            alpha_pattern={r"layer\.1\..*value": 5},
            modules_to_save=["pooler"],
            bias="all",
        ),
    ),
    "peft-bert-ia3": (_bert(_SEQ_CLS), _ia3("SEQ_CLS")),
    "peft-roberta-seq-cls": (_roberta, _lora("SEQ_CLS")),
    "peft-gpt2-c-attn": (_gpt2, _lora(_CAUSAL_LM, bias="lora_only")),
    "peft-gpt2-all-linear": (_gpt2, _lora(_CAUSAL_LM, target_modules="all-linear")),
    "peft-gpt2-dora": (
        _gpt2,
        _lora(_CAUSAL_LM, use_dora=True, target_modules=["c_attn", "mlp.c_fc"]),
    ),
    "peft-gpt2-ia3": (_gpt2, _ia3(_CAUSAL_LM)),
    "peft-llama-lora": (_llama, _lora(_CAUSAL_LM, target_modules="all-linear")),
    "peft-llama-ia3": (_llama, _ia3(_CAUSAL_LM)),
    "peft-llama-head": (
        _llama,
        _lora(_CAUSAL_LM, modules_to_save=["lm_head", "model.embed_tokens"]),
    ),
    "peft-llama-tied": (
        lambda: _llama(tie_word_embeddings=True),
        _lora(
            _CAUSAL_LM,
            modules_to_save=["embed_tokens", "norm"],
            ensure_weight_tying=True,
        ),
    ),
}


def _enter(name: str, base: Any, config: Any, seed: int) -> None:
    golden(name)(lambda folder: _write(folder, base(), config(), seed))


for _index, (_name, (_base, _config)) in enumerate(_CASES.items()):
    _enter(_name, _base, _config, 100 + 2 * _index)
