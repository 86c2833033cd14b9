"""The model in a run folder: weights, tokenizer and generation config."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tfft.checkpoints.adapters import load_adapter_weights, save_adapter
from tfft.checkpoints.tensors import load_variables, save_tensors
from tfft.core.files import storage_errors
from tfft.methods.adapter import Adapter
from tfft.models.generation_config import NAME as GENERATION
from tfft.models.generation_config import (
    read_generation_config,
    write_generation_config,
)
from tfft.models.pretrained import Pretrained
from tfft.models.tokenizer_files import read_tokenizer
from tfft.runs.folder import ADAPTER, BACKBONE, HEAD, NEW_BASE, TOKENIZER
from tfft.tasks.task import Task


def save_base(folder: Path, pretrained: Pretrained) -> None:
    """Writes a backbone that was passed as an object, before a method changes it."""
    with storage_errors(folder):
        pretrained.backbone.save_to_preset(str(folder / NEW_BASE))
    pretrained.tokenizer.save(folder / NEW_BASE)


def save_weights(
    folder: Path,
    network: Any,
    adapter: Adapter,
    pretrained: Pretrained,
    task_type: str,
) -> None:
    """Writes all that distinguishes a run from its base model, and the tokenizer.

    That is the adapter, the head, the changed backbone weights and, for a model that
    generates, where its texts end.

    Args:
        folder: The run folder.
        network: The network.
        adapter: Its adapter, not merged.
        pretrained: The backbone with its tokenizer.
        task_type: PEFT's name for the kind of task.
    """
    pretrained.tokenizer.save(folder)
    if pretrained.generation is not None:
        write_generation_config(folder, pretrained.tokenizer, pretrained.generation)
    save_tensors(folder / HEAD, _named(network.head_variables))
    changed = adapter.changed_base_variables
    if changed:
        save_tensors(folder / BACKBONE, _named(changed))
    if adapter.variables:
        save_adapter(
            adapter,
            folder / ADAPTER,
            base_model=pretrained.source or "",
            task_type=task_type,
            modules_to_save=network.head_modules,
        )


def with_own_tokenizer(folder: Path, pretrained: Pretrained) -> Pretrained:
    """Returns a base model with the tokenizer that a run was trained with.

    The base model's tokenizer files may have changed since, and so may the way tfft
    reads them.

    Raises:
        DataError: When the run's tokenizer files are damaged.
    """
    if not (folder / TOKENIZER[0]).is_file():
        return pretrained
    return dataclasses.replace(pretrained, tokenizer=read_tokenizer(folder))


def with_own_generation(folder: Path, pretrained: Pretrained, task: Task) -> Pretrained:
    """Returns a base model with a run's own settings for the ends of texts.

    Raises:
        DataError: When the run's generation config is damaged.
    """
    if not task.generates:
        return dataclasses.replace(pretrained, generation=None)
    tokenizer = pretrained.tokenizer
    if (folder / GENERATION).is_file():
        own = read_generation_config(folder, {}).known_to(tokenizer)
    else:  # older runs lack the file
        own = pretrained.generation.ending_at(task.taught_ends(tokenizer))
    return dataclasses.replace(pretrained, generation=own)


def own_variables(network: Any, adapter: Adapter) -> list[Any]:
    """Returns the variables that `save_weights` writes."""
    layers = [
        variable
        for one in adapter.injected
        for variable in one.layer.saved_variables.values()
    ]
    every = [*network.head_variables, *adapter.changed_base_variables, *layers]
    return list({id(variable): variable for variable in every}.values())


def load_weights(folder: Path, network: Any, adapter: Adapter) -> None:
    """Loads the weights that `save_weights` wrote into a network of the same build.

    Raises:
        MissingInputError: When a file is missing.
        DataError: When a file does not fit the network.
    """
    load_variables(folder / HEAD, _named(network.head_variables))
    changed = adapter.changed_base_variables
    if changed:
        load_variables(folder / BACKBONE, _named(changed))
    if adapter.variables:
        load_adapter_weights(adapter, folder / ADAPTER)


def _named(variables: list[Any]) -> dict[str, Any]:
    return {variable.path: variable for variable in variables}
