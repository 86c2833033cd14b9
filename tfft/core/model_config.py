"""Reads the `config.json` of a Hugging Face model; checks every value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tfft.core.errors import (
    DataError,
    MissingInputError,
    one_of,
    shorten,
)
from tfft.core.model_folder import file_in
from tfft.core.not_a_model import fix_for_folder

Pooling = Literal[
    "pooler", "mean", "first", "last", "max", "mean_sqrt_len", "weightedmean"
]

_MAX_BYTES = 16_000_000
_LARGEST = 2**24 - 1
MOST_LAYERS = 1000


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Returns the content of a config file of a model folder.

    Raises:
        MissingInputError: When the folder has none.
        DataError: When it is not a JSON object.
    """
    path = file_in(folder, name)
    if path is None:
        raise MissingInputError(
            f"model folder without {name}",
            where=str(folder),
            expected="config.json, model.safetensors and tokenizer.json",
            fix=fix_for_folder(folder),
        )
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES // 10**6} MB")
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"holds a {type(config).__name__}")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name} is not usable: {error}",
            where=str(path),
            expected="a JSON object",
            fix="download the model again",
        ) from error
    return config


def read(config: Mapping[str, Any], key: str, most: int = _LARGEST) -> int:
    """Returns a size from the config.

    Args:
        config: The content of `config.json`.
        key: The name of the size.
        most: The largest plausible value.

    Raises:
        DataError: When it is missing, not a whole number, or out of range.
    """
    value = config.get(key)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 < value <= most:
        raise DataError(
            f"{key}={shorten(value)}",
            where="config.json",
            expected=f"a whole number from 1 to {most}",
            fix="download the model again",
        )
    return value


def read_number(config: Mapping[str, Any], key: str, default: float) -> float:
    """Returns a number from 0 up to but not including 1 from the config.

    Raises:
        DataError: When it is present but is not a valid number.
    """
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = None
    if value is None or not 0 <= value < 1:
        raise DataError(
            f"{key}={shorten(config[key])}",
            where="config.json",
            expected="a number from 0 up to but not including 1",
            fix="download the model again",
        )
    return float(value)


def refuse_unless(config: Mapping[str, Any], key: str, allowed: Sequence) -> None:
    """Raises when the config asks for something that tfft does not implement.

    Raises:
        DataError: When the key is present with a value that is not allowed.
    """
    value = config.get(key, allowed[0])
    if value not in allowed:
        raise DataError(
            f"{key}={shorten(value)} is not supported",
            where="config.json",
            expected=one_of(str(item) for item in allowed),
            fix="choose another model",
        )
