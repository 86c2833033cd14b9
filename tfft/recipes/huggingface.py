"""Fine-tuned models as folders that Hugging Face's transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfft.adapters.method import expect_plain
from tfft.checkpoints.huggingface import NO_HEAD, save_huggingface
from tfft.core.environment import check_environment
from tfft.models.architecture import architecture_of
from tfft.models.generation_config import GenerationConfig
from tfft.models.hub_tokenizers import from_keras_hub
from tfft.recipes.build import Built
from tfft.tasks.task import Labels, Task


def export_huggingface(
    backbone: Any, directory: str | Path, tokenizer: Any = None
) -> Path:
    """Writes a KerasHub backbone as a folder that transformers loads.

    A backbone that can go on in a text is written with its language head.

    Args:
        backbone: A backbone of an architecture tfft knows, without adapters.
        directory: A new or empty folder.
        tokenizer: A tfft tokenizer or one of KerasHub's, written beside it.

    Returns:
        The folder.

    Raises:
        ConfigError: For a backbone that is quantised or holds an adapter.
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
    )


def export_run(
    built: Built, task: Task, labels: Labels, directory: Path, *, head: bool
) -> Path:
    """Writes a run's model, its adapter merged; see `Run.export_huggingface`.

    Args:
        built: The network with its weights, not merged; it is so again afterwards.
        task: Its task.
        labels: The labels by id.
        directory: A new or empty folder.
        head: Whether to write the head as well.

    Returns:
        The folder.
    """
    pretrained = built.pretrained
    modules = built.network.head_modules if head else {}
    built.adapter.merge()
    try:
        return save_huggingface(
            directory,
            pretrained.backbone,
            pretrained.architecture,
            config=pretrained.config or None,
            tokenizer=pretrained.tokenizer,
            task_type=task.peft_task_type if head else NO_HEAD,
            head=modules,
            labels=tuple(str(label) for label in labels) if modules else (),
            generation=pretrained.generation if head else None,
        )
    finally:
        built.adapter.unmerge()
