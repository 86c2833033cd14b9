"""Loads the backbone of a Hugging Face folder."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfft.core.errors import ConfigError, DataError, TfftError, shorten
from tfft.core.files import sha256
from tfft.core.model_config import read_config
from tfft.models.architecture import ARCHITECTURES, Architecture
from tfft.models.assign import LoadReport, assign_checkpoint
from tfft.models.weights import read_all_tensors, weight_files


class Loaded(NamedTuple):
    """A backbone with the weights of a Hugging Face folder.

    Attributes:
        backbone: The KerasHub backbone.
        architecture: Its named places.
        report: The leftover tensors, and the places without weights.
        max_length: Maximum number of tokens in a text.
        fingerprint: SHA-256 of the weight files.
        config: The content of `config.json`.
        notes: The defaults that the config did not name, one sentence each.
    """

    backbone: Any
    architecture: Architecture
    report: LoadReport
    max_length: int
    fingerprint: str
    config: dict[str, Any]
    notes: tuple[str, ...] = ()


def load_backbone(folder: Path, dropout: float | None = None) -> Loaded:
    """Returns the backbone of a Hugging Face folder, without its tokenizer.

    Args:
        folder: Holds `config.json` and weights in safetensors.
        dropout: Dropout rate inside the backbone; None keeps the model's own.

    Raises:
        MissingInputError: When a file is missing.
        DataError: When a file is not usable.
        ConfigError: For an architecture that tfft does not support.
    """
    original = config = read_config(folder)
    family = config.get("model_type")
    if not isinstance(family, str) or family not in ARCHITECTURES.names():
        raise ConfigError(
            f"model_type {shorten(family)} is not supported",
            where=str(folder / "config.json"),
            expected="one of: " + ", ".join(ARCHITECTURES.names()),
            fix="choose a model of one of these families",
        )
    architecture = ARCHITECTURES.get(family)()
    config = architecture.completed(config)
    if dropout is not None:
        # Built without dropout, Keras' attention takes a faster path.
        config = {**config, **dict.fromkeys(architecture.dropout_keys, dropout)}
    with _located(folder):
        left_out = _left_out(architecture, original)
    files = weight_files(folder)
    tensors = read_all_tensors(files)
    with _located(folder, left_out):
        _expect_size(architecture.least_size(config), tensors)
        backbone = architecture.build(config)
        report = assign_checkpoint(backbone, architecture, tensors, config)
        max_length = architecture.max_length(config)
    fingerprint = "+".join(sha256(file) for file in files)
    notes = (left_out,) if left_out else ()
    return Loaded(
        backbone, architecture, report, max_length, fingerprint, original, notes
    )


def _expect_size(least: int, tensors: Mapping[str, np.ndarray]) -> None:
    """Refuses a config of more weights than the files hold, before memory is taken."""
    there = sum(value.size for value in tensors.values())
    if least > there:
        raise DataError(
            f"config.json describes at least {least:,} weights",
            where="config.json",
            expected=f"at most the {there:,} that the weight files hold",
            fix="check that config.json and weights belong together",
        )


def _left_out(architecture: Architecture, config: Mapping[str, Any]) -> str:
    """Returns a note on the sizes that a config leaves out; empty when it has all.

    Raises:
        DataError: When the config has a key that looks like a misspelling of one.
    """
    given = {*config, *(architecture.other_names.get(key, "") for key in config)}
    missing = [key for key in architecture.defaults if key not in given]
    for key in missing:
        close = difflib.get_close_matches(key, config, n=1, cutoff=0.9)
        if close:
            raise DataError(
                f"{key} is missing",
                where="config.json",
                expected=f"{key}; without it transformers assumes "
                f"{architecture.defaults[key]}",
                fix=f'did you mean "{close[0]}"?',
            )
    sizes = ", ".join(f"{key} ({architecture.defaults[key]})" for key in missing)
    return sizes and f"config.json leaves out {sizes}: transformers' defaults apply"


@contextlib.contextmanager
def _located(folder: Path, note: str = "") -> Iterator[None]:
    """Adds the folder and a note to an error raised inside.

    Args:
        folder: The model folder, put before the file that the error names.
        note: A possible cause, appended to the fix.
    """
    try:
        yield
    except TfftError as error:
        where = str(folder / error.where)
        fix = "; ".join(filter(None, (error.fix, note)))
        raise type(error)(
            error.what, where=where, expected=error.expected, fix=fix
        ) from error
