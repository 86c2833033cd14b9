"""Writes variables to safetensors files and loads them, all or none."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.errors import DataError, MissingInputError
from tfft.core.files import write_atomically
from tfft.models.weights import read_tensors

_SHOWN = 10


def save_tensors(
    path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays or variables, atomically.

    Args:
        path: The file.
        tensors: Values by name.
        metadata: Text for the file's header.

    Raises:
        StorageError: When the disk refuses; the old file stays.
    """
    # safetensors writes raw memory, so a transposed view would be written wrong.
    # np.ascontiguousarray would turn a scalar, such as a step counter, into a row.
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    # If there are no tensors, safetensors 0.8 breaks the header on empty metadata.
    header = dict(metadata) if metadata else None
    write_atomically(path, lambda target: _write(target, arrays, header))


def _write(
    path: Path, arrays: Mapping[str, np.ndarray], header: dict[str, str] | None
) -> None:
    """Writes a file, and raises the usual error when that fails.

    Raises:
        OSError: When the disk refuses. safetensors gives the error number as text.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(dict(arrays), path, metadata=header)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number:
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise


def load_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """Assigns the tensors of a file to variables of the same names.

    Raises:
        MissingInputError: When there is no such file.
        DataError: When a tensor is missing, unknown or has the wrong shape. Nothing is
            assigned then.
    """
    if not path.is_file():
        raise MissingInputError(f"no such file: {path}", fix="train again")
    assign(variables, read_tensors(path), str(path))


def assign(
    variables: Mapping[str, Any], tensors: Mapping[str, np.ndarray], where: str
) -> None:
    """Assigns tensors to variables of the same names, after checking all of them.

    Raises:
        DataError: Names up to ten tensors that do not fit.
    """
    problems = [f"{name} is missing" for name in variables if name not in tensors]
    problems += [f"{name} is not known" for name in tensors if name not in variables]
    problems += [
        f"{name} has shape {tensors[name].shape}, not {tuple(variable.shape)}"
        for name, variable in variables.items()
        if name in tensors and tensors[name].shape != tuple(variable.shape)
    ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise DataError(
            f"the weights do not fit: {'; '.join(problems[:_SHOWN])}{more}",
            where=where,
            fix="use the model that they were trained on",
        )
    for name, variable in variables.items():
        variable.assign(tensors[name])
