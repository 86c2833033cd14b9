"""Saves and loads adapters: in PEFT's format if it has one, else in tfft's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfft.checkpoints.native import (
    is_native,
    load_native,
    read_method,
    save_native,
)
from tfft.checkpoints.peft.load import Heads, load_peft, read_peft
from tfft.checkpoints.peft.save import can_save, save_peft
from tfft.core.errors import ConfigError, TfftError
from tfft.methods.adapter import Adapter
from tfft.methods.method import METHODS, train_only
from tfft.models.architecture import Architecture


def save_adapter(adapter: Adapter, folder: Path, **options: Any) -> None:
    """Writes an adapter.

    Args:
        adapter: An adapter that is neither merged nor disabled.
        folder: The target folder; made if needed.
        **options: Options of `save_peft`; only PEFT's format uses them.

    Raises:
        ConfigError: When the adapter has no weights, or is merged or disabled.
    """
    if adapter.state != "active":
        raise ConfigError(
            f"the adapter is {adapter.state}",
            expected="an active adapter, not merged into the base weights",
            fix="call unmerge() first" if adapter.merged else "enable it first",
        )
    if not adapter.trained:
        raise ConfigError(
            f"{adapter.method.name} has nothing to save",
            expected="a method that adds weights to the backbone or trains its weights",
            fix='use method="lora"',
        )
    if can_save(adapter):
        save_peft(adapter, folder, **options)
    else:
        save_native(adapter, folder)


def load_adapter_weights(adapter: Adapter, folder: Path) -> None:
    """Loads the weights in a folder into an adapter of the same method.

    Raises:
        MissingInputError: When a file is missing.
        DataError: When the weights belong to another adapter.
    """
    if is_native(folder):
        load_native(adapter, folder)
    else:
        load_peft(adapter, folder)


def read_adapter(
    backbone: Any, architecture: Architecture, folder: Path
) -> tuple[Adapter, Heads]:
    """Applies the adapter of a folder to a plain backbone.

    Returns:
        The adapter, and the weights of heads by module if the folder has any.

    Raises:
        MissingInputError: When a file is missing.
        DataError: For an unusable folder. The backbone then stays unchanged.
    """
    if not is_native(folder):
        return read_peft(backbone, architecture, folder)
    method = METHODS.resolve(read_method(folder))
    adapter = method.apply(backbone, architecture, 0)
    try:
        load_native(adapter, folder)
    except TfftError:
        adapter.take_out()
        train_only(backbone, backbone.weights)
        raise
    return adapter, {}
