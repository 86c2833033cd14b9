"""Loads adapters written by tfft in PEFT and compares the outputs.

The first half needs tfft's environment, the second that of the goldens (see
`make_goldens.py`):

    python tools/check_peft.py write build/check-peft
    build/goldens-venv/bin/python tools/check_peft.py read build/check-peft
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 2e-5
# Base model of the goldens, its Hugging Face class, PEFT's task, tfft's method.
CASES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "bert-lora": (
        "peft-bert-seq-cls",
        "BertForSequenceClassification",
        "SEQ_CLS",
        {"name": "lora", "rank": 3},
    ),
    "bert-token": (
        "peft-bert-token-cls",
        "BertForTokenClassification",
        "TOKEN_CLS",
        {"name": "lora", "target": "all-linear", "bias": "lora_only"},
    ),
    "bert-dora": (
        "peft-bert-dora",
        "BertModel",
        "FEATURE_EXTRACTION",
        {"name": "lora", "use_dora": True, "target": "all-linear"},
    ),
    "bert-rslora-patterns": (
        "peft-bert-seq-cls",
        "BertForSequenceClassification",
        "SEQ_CLS",
        {
            "name": "lora",
            "use_rslora": True,
            "rank_pattern": {"layers.0.attention.query": 2},
            "alpha_pattern": {"value": 5},
            "bias": "all",
            "modules_to_save": ["pooler"],
        },
    ),
    "bert-pissa": (
        "peft-bert-dora",
        "BertModel",
        "FEATURE_EXTRACTION",
        {"name": "lora", "initialization": "pissa", "rank": 2},
    ),
    "bert-ia3": (
        "peft-bert-seq-cls",
        "BertForSequenceClassification",
        "SEQ_CLS",
        {"name": "ia3"},
    ),
    "gpt2-c-attn": (
        "peft-gpt2-c-attn",
        "GPT2LMHeadModel",
        "CAUSAL_LM",
        {"name": "lora", "target": "c_attn", "bias": "lora_only"},
    ),
    "gpt2-q-and-v": (
        "peft-gpt2-c-attn",
        "GPT2LMHeadModel",
        "CAUSAL_LM",
        {"name": "lora", "target": "query,value", "rank": 3},
    ),
    "gpt2-q-and-v-rslora": (
        "peft-gpt2-c-attn",
        "GPT2LMHeadModel",
        "CAUSAL_LM",
        {"name": "lora", "target": "query,value", "rank": 3, "use_rslora": True},
    ),
    "gpt2-all-linear": (
        "peft-gpt2-c-attn",
        "GPT2LMHeadModel",
        "CAUSAL_LM",
        {"name": "lora", "target": "all-linear"},
    ),
    "gpt2-dora": (
        "peft-gpt2-c-attn",
        "GPT2LMHeadModel",
        "CAUSAL_LM",
        {"name": "lora", "target": "c_attn,ffn.up", "use_dora": True},
    ),
    "gpt2-ia3": ("peft-gpt2-c-attn", "GPT2LMHeadModel", "CAUSAL_LM", {"name": "ia3"}),
    "llama-lora": (
        "peft-llama-lora",
        "LlamaForCausalLM",
        "CAUSAL_LM",
        {"name": "lora", "target": "all-linear"},
    ),
    "llama-dora": (
        "peft-llama-lora",
        "LlamaForCausalLM",
        "CAUSAL_LM",
        {"name": "lora", "use_dora": True},
    ),
    "llama-ia3": (
        "peft-llama-lora",
        "LlamaForCausalLM",
        "CAUSAL_LM",
        {"name": "ia3"},
    ),
    "roberta-lora": (
        "peft-roberta-seq-cls",
        "RobertaForSequenceClassification",
        "SEQ_CLS",
        {"name": "lora"},
    ),
}


def write(folder: Path) -> None:
    """Writes an adapter with random weights for each case, and tfft's outputs."""
    from safetensors.numpy import load_file, save_file

    import tfft
    from tfft.methods.method import METHODS
    from tfft.models.architecture import ARCHITECTURES
    from tfft.models.pretrained import load_backbone

    random = np.random.default_rng(0)
    for case, (base, _, task, method) in CASES.items():
        source = ROOT / "tests" / "goldens" / base
        family = json.loads((source / "base/config.json").read_text())["model_type"]
        if family not in ARCHITECTURES.names():
            print(f"{case}: {family} is not known yet")
            continue
        loaded = load_backbone(source / "base")
        adapter = tfft.apply(loaded.backbone, METHODS.resolve(method))
        for variable in adapter.adapter.trained:
            noise = 0.3 * random.normal(0, 1, variable.shape)
            variable.assign(np.array(variable) + noise)
        heads = {}
        if task.endswith("_CLS"):
            given = load_file(source / "adapter_model.safetensors")
            for key, value in given.items():
                if ".classifier." in key:
                    module, _, kind = key.removeprefix("base_model.model.").rpartition(
                        "."
                    )
                    heads.setdefault(module, {})[kind] = value
        adapter.save(folder / case, task_type=task, modules_to_save=heads)
        reference = load_file(source / "reference.safetensors")
        inputs = {k[6:]: v for k, v in reference.items() if k.startswith("input.")}
        if "segment_ids" in loaded.architecture.inputs:
            inputs["segment_ids"] = np.zeros_like(inputs["token_ids"])
        outputs = loaded.backbone(inputs, training=False)
        states = np.asarray(loaded.architecture.sequence(outputs))
        stored = {**inputs, "states": states}
        logits = _logits(loaded, outputs, states, task, heads)
        if logits is not None:
            stored["logits"] = np.ascontiguousarray(logits, "float32")
        save_file(stored, folder / case / "states.safetensors")


def _logits(loaded: Any, outputs: Any, states: Any, task: str, heads: Any) -> Any:
    """Applies the head in the adapter's folder to the states."""
    if task == "CAUSAL_LM":
        return np.asarray(loaded.backbone.token_embedding(states, reverse=True))
    if not heads:
        return None
    if "classifier.dense" in heads:
        dense, out = heads["classifier.dense"], heads["classifier.out_proj"]
        inner = np.tanh(states[:, 0] @ dense["weight"].T + dense["bias"])
        return inner @ out["weight"].T + out["bias"]
    is_token = task == "TOKEN_CLS"
    summary = states if is_token else loaded.architecture.pooled(outputs)
    head = heads["classifier"]
    return np.asarray(summary) @ head["weight"].T + head["bias"]


def read(folder: Path) -> int:
    """Loads each case in PEFT; prints the keys and the largest difference."""
    import peft
    import torch
    import transformers
    from safetensors.numpy import load_file

    failed = 0
    for case, (base, name, _, _) in CASES.items():
        if not (folder / case).is_dir():
            continue
        source = ROOT / "tests" / "goldens" / base / "base"
        model = getattr(transformers, name).from_pretrained(source)
        model = peft.PeftModel(
            model, peft.PeftConfig.from_pretrained(str(folder / case))
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            keys = model.load_adapter(str(folder / case), adapter_name="default")
        warned = [str(one.message) for one in caught if "key" in str(one.message)]
        stored = load_file(folder / case / "states.safetensors")
        worst = 0.0
        model = model.double().eval()
        for row, mask in enumerate(stored["padding_mask"]):
            length = int(mask.sum())
            ids = torch.tensor(stored["token_ids"][row : row + 1, :length]).long()
            out = model(ids, output_hidden_states=True)
            pairs = [(out.hidden_states[-1][0], stored["states"][row, :length])]
            if "logits" in stored:
                ours = stored["logits"][row]
                ours = ours if ours.ndim == 1 else ours[:length]
                pairs.append((out.logits[0], ours))
            for theirs, ours in pairs:
                difference = np.abs(theirs.detach().numpy() - ours).max()
                worst = max(worst, float(difference))
        missing = [key for key in keys.missing_keys if _is_adapters(key)]
        unexpected = list(keys.unexpected_keys)
        wrong = bool(missing or unexpected or warned or not worst <= TOLERANCE)
        failed += wrong
        print(
            f"{case:22} {'states and logits' if 'logits' in stored else 'states':17} "
            f"missing {len(missing)} unexpected {len(unexpected)} "
            f"difference {worst:.1e}{' WRONG' if wrong else ''}"
        )
        for key in [*missing, *unexpected, *warned][:5]:
            print(f"    {key}")
    return failed


def _is_adapters(key: str) -> bool:
    """Returns whether a key is an adapter's; an adapter file has no base model keys."""
    return any(part in key for part in ("lora_", "ia3_", "modules_to_save"))


if __name__ == "__main__":
    action, target = sys.argv[1:]
    if action == "write":
        write(Path(target))
    else:
        sys.exit(read(Path(target)))
