"""Exports backbones and fine-tuned models as folders for transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.huggingface import NO_HEAD, save_huggingface
from tfft.checkpoints.sentence_transformers import can_pool, save_modules
from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError
from tfft.methods.method import expect_plain
from tfft.models.architecture import architecture_of
from tfft.models.generation_config import GenerationConfig
from tfft.models.heads import Linear
from tfft.models.hub_tokenizers import from_keras_hub
from tfft.runs.build import Built
from tfft.runs.predictor import Predictor
from tfft.tasks.task import Labels, Task


def export_huggingface(
    backbone: Any, directory: str | Path, tokenizer: Any = None
) -> Path:
    """Writes a KerasHub backbone as a folder that transformers loads.

    A decoder is written with its language model head.

    Args:
        backbone: A backbone without adapters, of an architecture that tfft supports.
        directory: A new or empty folder.
        tokenizer: A tokenizer of tfft or KerasHub, written into the same folder.

    Returns:
        The folder.

    Raises:
        ConfigError: For a backbone that is quantized or has an adapter.
        OutputInUseError: When the folder is not empty.
        StorageError: When the disk refuses.

    >>> import keras_hub, tempfile
    >>> backbone = keras_hub.models.BertBackbone(
    ...     vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=8,
    ...     intermediate_dim=16, max_sequence_length=8)
    >>> folder = export_huggingface(backbone, tempfile.mkdtemp())
    >>> sorted(file.name for file in folder.iterdir())
    ['config.json', 'model.safetensors']
    """
    check_environment()
    expect_plain(backbone)
    architecture = architecture_of(backbone)
    return save_huggingface(
        Path(directory),
        backbone,
        architecture,
        tokenizer=None if tokenizer is None else from_keras_hub(tokenizer),
        task_type="CAUSAL_LM" if architecture.causal else NO_HEAD,
        generation=GenerationConfig() if architecture.causal else None,
        max_length=getattr(backbone, "max_sequence_length", None),
    )


def export_run(predictor: Predictor, directory: Path, *, head: bool) -> Path:
    """Writes a fine-tuned model, its adapter merged; see `Run.export_huggingface`.

    Args:
        predictor: The model. Its adapter is unmerged before and after.
        directory: A new or empty folder.
        head: Whether to write the head as well.

    Returns:
        The folder.
    """
    built, task, labels = predictor.built, predictor.task, predictor.labels
    _check_network(built.network)
    built.adapter.merge()
    try:
        if not head:
            return _save(built, task, directory, NO_HEAD)
        return _save_with_head(built, task, labels, directory)
    finally:
        built.adapter.unmerge()


def _check_network(network: Any) -> None:
    """Refuses an ensemble.

    Raises:
        ConfigError: When the network answers for several runs.
    """
    if not hasattr(network, "backbone"):
        raise ConfigError(
            "an ensemble has no class in transformers",
            where="export_huggingface",
            expected="one run, or a soup",
            fix="export each run by itself, or export a SavedModel",
        )


def _save_with_head(built: Built, task: Task, labels: Labels, directory: Path) -> Path:
    """Writes a model for a class of transformers, else with modules around it."""
    network, about = built.network, task.about_head(labels)
    generation = built.pretrained.generation
    if not network.head_variables:  # the head belongs to the backbone
        return _save(built, task, directory, task.head_type, generation=generation)
    kernel, bias = (np.array(variable) for variable in network.head_variables)
    linear = Linear(kernel.T, bias)
    head = _layers_of_class(built, task, linear)
    if head is None and can_pool(network.pooling):

        def write_more(folder: Path) -> None:
            head = task.in_units(linear)
            save_modules(folder, network.pooling, head, task.max_length)

        return _save(
            built, task, directory, NO_HEAD, about_head=about, write_more=write_more
        )
    options = {"head": head or network.head_modules, "about_head": about}
    return _save(built, task, directory, task.head_type, **options)


def _layers_of_class(
    built: Built, task: Task, linear: Linear
) -> dict[str, dict[str, np.ndarray]] | None:
    """Returns the head as layers of transformers' class, or None if no class fits."""
    form = built.pretrained.architecture.forms.get(task.head_type)
    if form is None or form.pooling != built.network.pooling:
        return None
    layers = form.arrange(form.modules, linear)
    if layers is None:
        return None
    last = form.modules[-1]
    layers = {**layers, last: task.in_units(layers[last])}
    return {name: layer.by_name() for name, layer in layers.items()}


def _save(built: Built, task: Task, directory: Path, kind: str, **options: Any) -> Path:
    """Writes the backbone and the tokenizer; `options` go to `save_huggingface`."""
    pretrained = built.pretrained
    # transformers cuts no windows and packs no rows: a text may fill the model.
    whole = task.generates or task.per_token
    limit = pretrained.max_length if whole else task.max_length
    return save_huggingface(
        directory,
        pretrained.backbone,
        pretrained.architecture,
        config=pretrained.config or None,
        tokenizer=pretrained.tokenizer,
        task_type=kind,
        max_length=limit,
        # transformers has one switch for everything: it would also split the special
        # tokens that a chat template writes.
        split_special_tokens=task.split_special_tokens and not task.generates,
        **options,
    )
