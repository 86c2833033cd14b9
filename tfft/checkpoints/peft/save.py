"""Writes an adapter folder that PEFT reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.peft.base_weights import base_tensors, whole_modules
from tfft.checkpoints.peft.folder import CONFIG, ROOT, WEIGHTS
from tfft.checkpoints.peft.format import format_of
from tfft.checkpoints.tensors import save_tensors
from tfft.core.errors import ConfigError
from tfft.core.files import write_json
from tfft.methods.adapter import Adapter

_LANGUAGE_MODEL = "CAUSAL_LM"


def can_save(adapter: Adapter) -> bool:
    """Returns whether PEFT has a format for the method."""
    return format_of(adapter.method) is not None


def save_peft(
    adapter: Adapter,
    folder: Path,
    *,
    base_model: str = "",
    task_type: str | None = None,
    modules_to_save: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`.

    Args:
        adapter: An adapter that is neither merged nor disabled.
        folder: The target folder; made if needed.
        base_model: The value of `base_model_name_or_path`.
        task_type: PEFT's name for the kind of task. Defaults to `CAUSAL_LM` for
            decoders and to `FEATURE_EXTRACTION` for encoders.
        modules_to_save: Layers outside the backbone that train in full, by PEFT's
            names, each with its `weight` and `bias` in PyTorch's layout.

    Raises:
        ConfigError: When PEFT has no format for it, or it is merged or disabled.
    """
    kind = format_of(adapter.method)
    if kind is None or adapter.state != "active":
        raise ConfigError(
            f"no PEFT format for {adapter.method.name}"
            if kind is None
            else f"the adapter is {adapter.state}",
            expected="an active LoRA or IA3 adapter",
            fix='use method="lora"' if kind is None else "call unmerge() first",
        )
    heads = dict(modules_to_save or {})
    if task_type is None:
        causal = adapter.architecture.causal
        task_type = _LANGUAGE_MODEL if causal else "FEATURE_EXTRACTION"
    # In PEFT's keys a model with a head has a prefix, and a bare encoder has none.
    has_prefix = heads or task_type == _LANGUAGE_MODEL
    prefix = adapter.architecture.prefix if has_prefix else ""
    tensors = {f"{prefix}{n}": v for n, v in kind.tensors(adapter).items()}
    tensors |= base_tensors(adapter, prefix)
    tensors |= {
        f"{module}.{name}": np.asarray(value)
        for module, weights in heads.items()
        for name, value in weights.items()
    }
    # A head of several layers is one module in PyTorch, such as RoBERTa's classifier.
    tops = dict.fromkeys(module.split(".")[0] for module in heads)
    whole = [*tops, *whole_modules(adapter, prefix)]
    config = {
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "modules_to_save": whole or None,
        "peft_type": kind.name,
        # Full names, because output.dense would match two layers of BERT.
        "target_modules": sorted({one.place.theirs for one in adapter.injected}),
        "task_type": task_type,
        **kind.config(adapter),
    }
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{ROOT}{name}": value for name, value in tensors.items()}
    save_tensors(folder / WEIGHTS, named, {"format": "pt"})
    write_json(folder / CONFIG, config)
