"""Adapters on a user's own backbone, without a training recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.checkpoints.adapters import read_adapter, save_adapter
from tfft.core.environment import check_environment
from tfft.methods.adapter import Adapter
from tfft.methods.method import METHODS
from tfft.methods.named import NamedAdapters
from tfft.models.architecture import architecture_of


class AppliedAdapter(NamedAdapters):
    """The adapters of a backbone, as returned by `apply` and `load_adapter`.

    Args:
        adapter: A method applied to the backbone.
        seed: For the variables of adapters added later.
        modules: Modules outside the backbone that an adapter folder held, such as
            `classifier`: for each its `weight` and `bias` in PyTorch's layout.
    """

    def __init__(
        self,
        adapter: Adapter,
        seed: int = 0,
        modules: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(adapter, seed)
        self.modules = dict(modules or {})

    def save(
        self,
        directory: str | Path,
        base_model: str = "",
        task_type: str | None = None,
        modules_to_save: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Writes the active adapter, in PEFT's format if PEFT has one for its method.

        Args:
            directory: The folder to write.
            base_model: The name of the base model to record.
            task_type: PEFT's name of the task. Defaults to `CAUSAL_LM` for a family
                of language models, else to `FEATURE_EXTRACTION`.
            modules_to_save: Layers outside the backbone to write into a PEFT folder,
                by PEFT's names: for each its `weight` and `bias` in PyTorch's layout.

        Raises:
            ConfigError: When there is nothing to save, or it is merged.
        """
        save_adapter(
            self.adapter,
            Path(directory),
            base_model=base_model,
            task_type=task_type,
            modules_to_save=modules_to_save,
        )


def apply(backbone: Any, method: Any, seed: int = 0) -> AppliedAdapter:
    """Applies a method to a KerasHub backbone, in place.

    Args:
        backbone: A backbone of an architecture that tfft supports.
        method: A name such as `lora`, or an object such as `LoRA(rank=4)`.
        seed: For the initial values of new variables. Defaults to 0.

    Returns:
        The adapter: `merge`, `unmerge`, `disable`, `add`, `activate`, `save` ….

    Raises:
        ConfigError: For an unknown method, or one that does not fit the backbone.

    >>> import keras_hub
    >>> backbone = keras_hub.models.BertBackbone(
    ...     vocabulary_size=30, num_layers=2, num_heads=2, hidden_dim=8,
    ...     intermediate_dim=16, max_sequence_length=8)
    >>> adapter = apply(backbone, "lora")
    >>> len(adapter.variables)  # A and B of query and value in two layers
    8
    """
    check_environment()
    resolved = METHODS.resolve(method)
    adapter = resolved.apply(backbone, architecture_of(backbone), seed)
    return AppliedAdapter(adapter, seed)


def load_adapter(backbone: Any, directory: str | Path) -> AppliedAdapter:
    """Loads an adapter folder, PEFT's or tfft's, onto a plain backbone.

    Args:
        backbone: The backbone that the adapter was trained on.
        directory: The folder.

    Returns:
        The adapter. Modules outside the backbone that the folder held, such as a
        classifier, are in its `modules`.

    Raises:
        MissingInputError: When a file is missing.
        DataError: For an unusable folder; the backbone is then unchanged.
    """
    check_environment()
    adapter, modules = read_adapter(
        backbone, architecture_of(backbone), Path(directory)
    )
    applied = AppliedAdapter(adapter)
    applied.modules = modules
    return applied
