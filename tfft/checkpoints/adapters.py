"""Adapter folders, in PEFT's format where it has one and else in tfft's."""

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
        adapter: An adapter that is neither merged nor switched off.
        folder: Where to; made if needed.
        **options: Those of `save_peft`, for PEFT's format alone.

    Raises:
        ConfigError: When there is nothing to write, or it is merged.
    """
    if adapter.state != "active":
        raise ConfigError(
            f"the adapter is {adapter.state}",
            expected="an adapter beside its base weights",
            fix="call unmerge() first" if adapter.merged else "switch it on first",
        )
    if not adapter.trained:
        raise ConfigError(
            f"{adapter.method.name} has nothing to save",
            expected="a method that trains weights of the backbone or adds some",
            fix='use method="lora"',
        )
    if can_save(adapter):
        save_peft(adapter, folder, **options)
    else:
        save_native(adapter, folder)


def load_adapter_weights(adapter: Adapter, folder: Path) -> None:
    """Loads the weights in a folder into an adapter of the same method.

    Raises:
        MissingInputError: When a file is not there.
        DataError: When the weights are those of another adapter.
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
        The adapter, and the weights of heads by module, where the folder has any.

    Raises:
        MissingInputError: When a file is not there.
        DataError: For a folder that cannot be used; the backbone is unchanged then.
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
