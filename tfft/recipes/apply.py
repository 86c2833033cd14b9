"""A method on a backbone of one's own, without a training recipe around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfft.adapters.method import METHODS, Adapter
from tfft.checkpoints.peft import save_adapter
from tfft.core.environment import check_environment
from tfft.models.architecture import architecture_of


class AppliedAdapter:
    """A method applied to a backbone; `apply` makes it.

    Args:
        adapter: The adapter.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    @property
    def variables(self) -> list[Any]:
        """The variables that the method added."""
        return self._adapter.variables

    def merge(self) -> None:
        """Adds the updates to the base weights.

        Raises:
            ConfigError: When they are merged already.
        """
        self._adapter.merge()

    def unmerge(self) -> None:
        """Takes the updates out again, exactly.

        Raises:
            ConfigError: When nothing is merged.
        """
        self._adapter.unmerge()

    def save(self, directory: str | Path, base_model: str = "") -> None:
        """Writes the adapter in PEFT's format.

        Args:
            directory: Where to.
            base_model: What the file says the base model is.

        Raises:
            ConfigError: When there is nothing to save, or it is merged.
        """
        save_adapter(self._adapter, Path(directory), base_model=base_model)


def apply(backbone: Any, method: Any, seed: int = 0) -> AppliedAdapter:
    """Applies a method to a KerasHub backbone, in place.

    Args:
        backbone: A backbone of an architecture tfft knows.
        method: A name such as `lora`, or an object such as `LoRA(rank=4)`.
        seed: For the new variables. Defaults to 0.

    Returns:
        The adapter: `merge`, `unmerge`, `save`.

    Raises:
        ConfigError: For an unknown method or one that does not suit the backbone.

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
    return AppliedAdapter(resolved.apply(backbone, architecture_of(backbone), seed))
