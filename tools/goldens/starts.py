"""Adapters of PEFT for each initialization of A and B: `init_lora_weights`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import peft
import torch
import transformers as hf

from goldens import golden, ids_and_mask, randomise, save_reference
from goldens.adapters import _BERT, _GPT2, _VOCABULARY, _randomise_adapter
from goldens.models import by_row, save_model

_PATTERNS = {
    "rank_pattern": {"layer.0.attention.self.query": 2},
    "alpha_pattern": {"^encoder.layer.1.attention.self.key": 5},
}
_BERT_STARTS: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "orthogonal": {"r": 4},
    "eva": {},
    "mica": {},
    "pissa": {"lora_alpha": 5, **_PATTERNS},
    "pissa-wide": {"r": 10, "target_modules": ["intermediate.dense"]},
    "pissa-dora-rslora": {"use_dora": True, "use_rslora": True},
}
_GPT2_STARTS: dict[str, dict[str, Any]] = {
    "pissa": {"target_modules": ["c_attn", "mlp.c_fc"]},
    "pissa-wide": {"r": 12, "target_modules": ["attn.c_proj", "c_attn"]},
}


def _make(folder: Path, base: Any, starts: dict[str, dict[str, Any]]) -> None:
    """Writes a base, an adapter for each initialization, and PEFT's outputs."""
    path = folder / "base"
    save_model(path, randomise(base, 400))
    ids, mask = ids_and_mask(_VOCABULARY, length=9)
    outputs = {}
    for index, (name, options) in enumerate(starts.items()):
        fields = {"r": 3, "target_modules": ["query", "key"], **options}
        config = peft.LoraConfig(init_lora_weights=name.split("-")[0], **fields)
        torch.manual_seed(index)
        model = peft.get_peft_model(type(base).from_pretrained(path), config)
        _randomise_adapter(model, 401 + index)
        model.save_pretrained(folder / name)
        (folder / name / "README.md").unlink()
        loaded = peft.PeftModel.from_pretrained(
            type(base).from_pretrained(path), folder / name
        ).eval()
        pick = lambda out: [out.hidden_states[-1]]  # noqa: E731
        (outputs[name],) = by_row(loaded, ids, mask, pick)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    save_reference(folder, {"token_ids": ids, "padding_mask": mask}, outputs)


@golden("peft-starts-bert")
def _bert(folder: Path) -> None:
    _make(folder, hf.BertModel(hf.BertConfig(**_BERT)), _BERT_STARTS)


@golden("peft-starts-gpt2")
def _gpt2(folder: Path) -> None:
    _make(folder, hf.GPT2Model(hf.GPT2Config(**_GPT2)), _GPT2_STARTS)
