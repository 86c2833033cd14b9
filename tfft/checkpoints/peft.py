"""Adapters in the format of PEFT, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.adapters.method import Adapter, Injected
from tfft.checkpoints.tensors import assign, save_tensors
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.core.files import write_json
from tfft.models.configuration import read_config
from tfft.models.weights import read_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_ROOT = "base_model.model."


def can_save(adapter: Adapter) -> bool:
    """Tells whether PEFT has a format for what the method added."""
    return bool(adapter.injected)


def save_adapter(
    adapter: Adapter,
    folder: Path,
    *,
    base_model: str = "",
    task_type: str = "FEATURE_EXTRACTION",
    modules_to_save: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`.

    Args:
        adapter: An adapter that is not merged.
        folder: Where to; made if needed.
        base_model: What `base_model_name_or_path` says.
        task_type: PEFT's name of the task.
        modules_to_save: Layers trained in full beside the adapter, by PEFT's names:
            for each its `weight` and `bias` as PyTorch keeps them.

    Raises:
        ConfigError: When there is nothing to write, or the adapter is merged.
    """
    if adapter.merged or not can_save(adapter):
        raise ConfigError(
            "the adapter is merged" if adapter.merged else "no adapter layers to save",
            expected="a LoRA adapter beside its base weights",
            fix="call unmerge() first" if adapter.merged else 'use method="lora"',
        )
    modules = dict(modules_to_save or {})
    # A bare encoder has no prefix in PEFT's keys, a model with a head has.
    prefix = _ROOT + (adapter.architecture.prefix if modules else "")
    tensors = {
        f"{prefix}{name}": value
        for one in adapter.injected
        for name, value in _tensors(one).items()
    }
    for module, weights in modules.items():
        for name, value in weights.items():
            tensors[f"{_ROOT}{module}.{name}"] = np.asarray(value)
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
    write_json(folder / CONFIG, _config(adapter, base_model, task_type, list(modules)))


def _tensors(one: Injected) -> dict[str, np.ndarray]:
    """Returns A and B as PEFT keeps them: (rank, in) and (out, rank)."""
    return {
        f"{one.place.theirs}.lora_A.weight": np.array(one.layer.lora_a).T,
        f"{one.place.theirs}.lora_B.weight": np.array(one.layer.lora_b).T,
    }


def _config(
    adapter: Adapter, base_model: str, task_type: str, modules: list[str]
) -> dict[str, Any]:
    method: Any = adapter.method
    return {
        "base_model_name_or_path": base_model,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": method.alpha,
        "lora_dropout": method.dropout,
        "modules_to_save": modules or None,
        "peft_type": "LORA",
        "r": method.rank,
        # Full names: a tail such as output.dense would mean two layers of BERT.
        "target_modules": sorted(one.place.theirs for one in adapter.injected),
        "task_type": task_type,
        "use_rslora": method.use_rslora,
    }


def load_adapter(adapter: Adapter, folder: Path) -> None:
    """Assigns the A and B of an adapter folder to an applied adapter.

    Raises:
        MissingInputError: When a file is not there.
        DataError: When rank, scale or layers are other than the adapter's.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise MissingInputError(
                f"adapter folder without {name}", where=str(folder), fix="train again"
            )
    _check_config(adapter, read_config(folder, CONFIG))
    wanted = {
        name: variable
        for one in adapter.injected
        for name, variable in (
            (f"{one.place.theirs}.lora_A.weight", one.layer.lora_a),
            (f"{one.place.theirs}.lora_B.weight", one.layer.lora_b),
        )
    }
    prefixes = (_ROOT + adapter.architecture.prefix, _ROOT)
    tensors = {
        _without(name, prefixes): value.T
        for name, value in read_tensors(folder / WEIGHTS).items()
        if ".lora_" in name
    }
    assign(wanted, tensors, str(folder / WEIGHTS))


def _check_config(adapter: Adapter, config: Mapping[str, Any]) -> None:
    method: Any = adapter.method
    ours = {
        "r": method.rank,
        "lora_alpha": method.alpha,
        "use_rslora": method.use_rslora,
    }
    for name, value in ours.items():
        if config.get(name, value) != value:
            raise DataError(
                f"{name}={config[name]} in the adapter folder",
                where=CONFIG,
                expected=f"{name}={value}, as the method says",
                fix=f"apply the method with {name}={config[name]}",
            )


def _without(name: str, prefixes: tuple[str, ...]) -> str:
    for prefix in prefixes:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
