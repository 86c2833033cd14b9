"""The backbone of a Hugging Face folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfft.core.errors import ConfigError, DataError, TfftError, shorten
from tfft.core.files import sha256
from tfft.models.architecture import ARCHITECTURES, Architecture
from tfft.models.assign import LoadReport, assign_checkpoint
from tfft.models.configuration import read_config
from tfft.models.weights import read_all_tensors, weight_files


class Loaded(NamedTuple):
    """A backbone with the weights of a Hugging Face folder.

    Attributes:
        backbone: The KerasHub backbone.
        architecture: Its named places.
        report: What the checkpoint did not fit exactly.
        max_length: The most tokens of a text.
        fingerprint: SHA-256 of the weight files.
        config: The content of `config.json`.
    """

    backbone: Any
    architecture: Architecture
    report: LoadReport
    max_length: int
    fingerprint: str
    config: dict[str, Any]


def load_backbone(folder: Path, dropout: float | None = None) -> Loaded:
    """Returns the backbone of a Hugging Face folder, without its tokenizer.

    Args:
        folder: Holds `config.json` and weights in safetensors.
        dropout: Dropout inside the backbone; None leaves the model's own.

    Raises:
        MissingInputError: When a file is not there.
        DataError: When a file cannot be used.
        ConfigError: For an architecture tfft does not know.
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
    if dropout is not None:
        # Keras' attention takes a faster path when it is built without dropout.
        config = {**config, **dict.fromkeys(architecture.dropout_keys, dropout)}
    files = weight_files(folder)
    tensors = read_all_tensors(files)
    with _located(folder):
        _expect_size(architecture.least_size(config), tensors)
        backbone = architecture.build(config)
        report = assign_checkpoint(backbone, architecture, tensors, config)
        max_length = architecture.max_length(config)
    fingerprint = "+".join(sha256(file) for file in files)
    return Loaded(backbone, architecture, report, max_length, fingerprint, original)


def _expect_size(least: int, tensors: Mapping[str, np.ndarray]) -> None:
    """Refuses a config of more weights than there are, before it takes memory."""
    there = sum(value.size for value in tensors.values())
    if least > there:
        raise DataError(
            f"config.json describes {least:,} weights or more",
            where="config.json",
            expected=f"at most the {there:,} that the weight files hold",
            fix="check that config.json and weights belong together",
        )


@contextlib.contextmanager
def _located(folder: Path) -> Iterator[None]:
    """Puts the model folder before the place of an error raised inside."""
    try:
        yield
    except TfftError as error:
        where = str(folder / error.where)
        raise type(error)(
            error.what, where=where, expected=error.expected, fix=error.fix
        ) from error
