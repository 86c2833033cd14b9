"""Writes folders that Hugging Face's transformers loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.tensors import save_tensors
from tfft.compute.layers import variables_by_path
from tfft.core.errors import ConfigError, OutputInUseError
from tfft.core.files import is_occupied, new_directory, write_json
from tfft.models.architecture import Architecture, Form
from tfft.models.generation_config import GenerationConfig, write_generation_config
from tfft.text.tokenizer import Tokenizer

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_INPUTS = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}
_SHARD_BYTES = 5_000_000_000
# Config entries about the old head, or from older versions.
_STALE = ("id2label", "label2id", "num_labels", "problem_type", "torch_dtype")
NO_HEAD = "FEATURE_EXTRACTION"


def backbone_tensors(
    backbone: Any, architecture: Architecture, config: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the weights of a backbone by Hugging Face's names, without the prefix.

    Args:
        backbone: A backbone without adapters, or with merged ones.
        architecture: Its named places.
        config: The config that will be written with them.

    Raises:
        ConfigError: When a weight is quantized.
    """
    variables = variables_by_path(backbone)
    shares: dict[str, dict[int, np.ndarray]] = {}
    for place in architecture.places_of(backbone):
        for weight in place.weights():
            variable = variables[weight.path]
            if "float" not in variable.dtype:
                raise ConfigError(
                    f"{weight.path} holds {variable.dtype} values",
                    expected="a backbone in floating point",
                    fix="export the backbone before quantizing it",
                )
            value = weight.from_keras(np.asarray(variable, "float32"))
            shares.setdefault(weight.theirs, {})[weight.share.index] = value
    whole = {
        name: parts[0]
        if len(parts) == 1
        # All fused matrices have the layout (in, out).
        else np.concatenate([parts[index] for index in sorted(parts)], axis=-1)
        for name, parts in shares.items()
    }
    return architecture.restore(whole, config)


def save_huggingface(
    folder: Path,
    backbone: Any,
    architecture: Architecture,
    *,
    config: Mapping[str, Any] | None = None,
    tokenizer: Tokenizer | None = None,
    task_type: str = NO_HEAD,
    head: Mapping[str, Mapping[str, Any]] | None = None,
    about_head: Mapping[str, Any] | None = None,
    generation: GenerationConfig | None = None,
    max_length: int | None = None,
    split_special_tokens: bool = False,
    write_more: Callable[[Path], None] | None = None,
    shard_bytes: int = _SHARD_BYTES,
) -> Path:
    """Writes a folder that transformers loads with `from_pretrained`.

    Args:
        folder: A new or empty folder.
        backbone: A backbone without adapters, or with merged ones.
        architecture: Its named places.
        config: The Hugging Face config it was loaded with. None makes one from the
            backbone.
        tokenizer: A tokenizer to write into the folder, if any.
        task_type: PEFT's name for the kind of task.
        head: The layers of the head by Hugging Face's names, each with its `weight`
            and `bias` in PyTorch's layout.
        about_head: Entries of `config.json` about its outputs, such as `id2label`.
        generation: Where generated texts end. Written only with a tokenizer.
        max_length: Maximum number of tokens in a text, for the tokenizer. None sets
            no limit.
        split_special_tokens: Whether texts that spell special tokens are split into
            letters.
        write_more: Writes further files into the folder.
        shard_bytes: The largest size of a weight file.

    Returns:
        The folder.

    Raises:
        ConfigError: When transformers has no class with this head, or the weights
            are quantized.
        OutputInUseError: When the folder is not empty.
        StorageError: When the disk refuses.
    """
    if is_occupied(folder):
        raise OutputInUseError(
            "the folder is not empty", where=str(folder), fix="choose another folder"
        )
    head = dict(head or {})
    form = _form(architecture, task_type, set(head))
    described = config or _described(backbone, architecture, tokenizer)
    config = {key: value for key, value in described.items() if key not in _STALE}
    config |= {"architectures": [form.name], "dtype": "float32", **(about_head or {})}
    tensors = _tensors(backbone, architecture, config, form)
    for module, weights in head.items():
        for name, value in weights.items():
            tensors[f"{module}.{name}"] = np.asarray(value, "float32")
    with new_directory(folder) as target:
        write_json(target / "config.json", config)
        _save_weights(target, tensors, shard_bytes)
        if tokenizer is not None:
            options = _tokenizer_options(tokenizer, architecture, form)
            if max_length is not None:
                options["model_max_length"] = max_length
            if split_special_tokens:
                options["split_special_tokens"] = True
            tokenizer.save(target, options)
            if generation is not None:
                write_generation_config(target, tokenizer, generation)
        if write_more is not None:
            write_more(target)
    return folder


def _tokenizer_options(
    tokenizer: Tokenizer, architecture: Architecture, form: Form
) -> dict[str, Any]:
    """Returns tokenizer settings that give the model the inputs of its training.

    A model that generates needs its prompts padded on the left, because it continues
    from their ends.
    """
    options: dict[str, Any] = {
        "model_input_names": [_INPUTS[name] for name in architecture.inputs],
        "padding_side": "left" if form.generates else "right",
    }
    if "pad" not in tokenizer.roles and "eos" in tokenizer.roles:
        options["pad_token"] = tokenizer.roles["eos"]
    return options


def _described(
    backbone: Any, architecture: Architecture, tokenizer: Tokenizer | None
) -> dict[str, Any]:
    """Returns the config of a backbone, with the ids that start and end a text."""
    ids = {}
    if tokenizer is not None:
        ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    known = {key: index for key, index in ids.items() if index is not None}
    return {**architecture.describe(backbone), **known}


def _form(architecture: Architecture, task_type: str, modules: set[str]) -> Form:
    """Returns the transformers class whose head has exactly these modules.

    Raises:
        ConfigError: When there is no such class.
    """
    form = architecture.forms.get(task_type)
    if form is None or modules != set(form.modules):
        named = ", ".join(sorted(modules)) or "no layers of its own"
        raise ConfigError(
            f"a {task_type} head of {named} on {architecture.backbone_class}",
            expected="a head that some class of transformers has",
            fix="export the backbone alone, with head=False",
        )
    return form


def _tensors(
    backbone: Any, architecture: Architecture, config: Mapping[str, Any], form: Form
) -> dict[str, np.ndarray]:
    """Returns the backbone's tensors by their names in a class of transformers."""
    tensors = backbone_tensors(backbone, architecture, config)
    prefix = architecture.prefix if form.prefix is None else form.prefix
    prefix = prefix if form.prefixed else ""
    named: dict[str, np.ndarray] = {}
    without_prefix: set[str] = set()
    for place in architecture.places_of(backbone):
        for weight in place.weights():
            if place.name in form.without:
                tensors.pop(weight.theirs, None)
            elif place.without_prefix:
                without_prefix.add(weight.theirs)
    for name, value in tensors.items():
        named[name if name in without_prefix else prefix + name] = value
    return named


def _save_weights(
    folder: Path, tensors: Mapping[str, np.ndarray], shard_bytes: int
) -> None:
    shards: list[dict[str, np.ndarray]] = [{}]
    filled = 0
    for name, value in tensors.items():
        if shards[-1] and filled + value.nbytes > shard_bytes:
            shards.append({})
            filled = 0
        shards[-1][name] = value
        filled += value.nbytes
    if len(shards) == 1:
        save_tensors(folder / _WEIGHTS, tensors, {"format": "pt"})
        return
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_tensors(folder / file, shard, {"format": "pt"})
        weight_map.update(dict.fromkeys(shard, file))
    total = sum(value.nbytes for value in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / _INDEX, index)
