"""tfft's own adapter format, for methods that PEFT has no format for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfft.checkpoints.tensors import load_variables, save_tensors
from tfft.core.config import to_dict
from tfft.core.errors import DataError
from tfft.core.files import write_json
from tfft.core.model_config import read_config
from tfft.methods.adapter import Adapter

CONFIG, WEIGHTS = "tfft_adapter.json", "tfft_adapter.safetensors"
_FORMAT = 1


def is_native(folder: Path) -> bool:
    """Returns whether a folder holds an adapter in this format."""
    return (folder / CONFIG).is_file()


def save_native(adapter: Adapter, folder: Path) -> None:
    """Writes the method, with all weights that it adds or trains."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / WEIGHTS, _named(adapter))
    method = {"name": adapter.method.name, **to_dict(adapter.method)}
    write_json(folder / CONFIG, {"format": _FORMAT, "method": method})


def read_method(folder: Path) -> dict[str, Any]:
    """Returns the name and options of the method in a folder.

    Raises:
        DataError: When the file is invalid.
    """
    config = read_config(folder, CONFIG)
    method = config.get("method")
    if config.get("format") != _FORMAT or not isinstance(method, dict):
        raise DataError(
            f"format {config.get('format')!r}",
            where=str(folder / CONFIG),
            expected=f"format {_FORMAT} with a method",
            fix="use the tfft that wrote it",
        )
    return method


def load_native(adapter: Adapter, folder: Path) -> None:
    """Loads the weights of a folder into an adapter of the same method.

    Raises:
        DataError: When they do not fit. Then nothing is assigned.
    """
    load_variables(folder / WEIGHTS, _named(adapter))


def _named(adapter: Adapter) -> dict[str, Any]:
    """Returns the variables by place, without the names of named adapters."""
    own = {
        f"{one.place.name}.{name.rsplit('.', 1)[-1]}": variable
        for one in adapter.injected
        for name, variable in one.layer.saved_variables.items()
    }
    return {**own, **{variable.path: variable for variable in adapter.base_variables}}
