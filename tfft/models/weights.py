"""Reads weight files: only safetensors, complete, and inside the model folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfft.core.errors import DataError, MissingInputError, one_of, shorten
from tfft.core.model_folder import file_in

_MAX_INDEX, _MAX_SHARDS = 10_000_000, 10_000
_DTYPES = (
    *("F16", "F32", "F64", "BF16", "BOOL"),
    *("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64"),
)
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_CONVERSION = (
    "transformers.AutoModel.from_pretrained('{folder}').save_pretrained('{folder}')"
    " writes model.safetensors"
)


def weight_files(folder: Path) -> list[Path]:
    """Returns the safetensors files of a model folder.

    Raises:
        MissingInputError: When there are none; says how to convert other formats.
        DataError: When the index names a file that is not in the folder.
    """
    single = file_in(folder, "model.safetensors")
    if single is not None:
        return [single]
    index = file_in(folder, "model.safetensors.index.json")
    if index is not None:
        return _shards(folder, index)
    pickled = sorted(path for ending in _PICKLES for path in folder.glob(f"*{ending}"))
    raise MissingInputError(
        "model folder without model.safetensors",
        where=str(folder),
        fix=f"{pickled[0].name} is a pickle, which can run code when it is opened, so "
        "tfft never does: in an environment with torch, "
        f"{_CONVERSION.format(folder=folder)}"
        if pickled
        else "download the weights as well",
    )


def _shards(folder: Path, index: Path) -> list[Path]:
    files = []
    for name in sorted(set(_weight_map(index).values())):
        path = file_in(folder, name)
        if path is None:
            raise DataError(
                f"the index names the file {shorten(name)}",
                where=str(index),
                expected="a file in the same folder",
                fix="download the model again",
            )
        files.append(path)
    return files


def _weight_map(index: Path) -> dict[str, str]:
    try:
        if index.stat().st_size > _MAX_INDEX:
            raise ValueError("larger than 10 MB")
        files = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
        if not all(isinstance(name, str) for name in files.values()):
            raise ValueError("a file name is not a string")
        if len(set(files.values())) > _MAX_SHARDS:
            raise ValueError(f"it names more than {_MAX_SHARDS:,} files")
        return files
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"index is not usable: {error}", where=str(index), fix="download it again"
        ) from error


def read_all_tensors(files: Iterable[Path]) -> dict[str, np.ndarray]:
    """Returns the tensors of several files.

    Raises:
        DataError: When a file is not usable, or a tensor occurs in two files.
    """
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        for name, value in read_tensors(file).items():
            if name in tensors:
                raise DataError(
                    f"{name} is in more than one weight file",
                    where=str(file),
                    fix="download the model again",
                )
            tensors[name] = value
    return tensors


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a safetensors file as arrays.

    Raises:
        DataError: When the file is not a safetensors file, or is cut off.
    """
    import ml_dtypes  # noqa: F401 (registers bfloat16 with NumPy; safetensors needs it)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():
                _expect_numbers(name, file.get_slice(name).get_dtype(), path)
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, TypeError, ValueError) as error:
        raise DataError(
            f"not a complete safetensors file: {error}",
            where=str(path),
            fix=_diagnosis(path),
        ) from error


def _expect_numbers(name: str, dtype: str, path: Path) -> None:
    """Refuses number types that NumPy lacks, such as 8-bit floats."""
    if dtype not in _DTYPES:
        raise DataError(
            f"{name} holds {dtype} values",
            where=str(path),
            expected=one_of(_DTYPES),
            fix="save the model in float32 or bfloat16",
        )


def _diagnosis(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer: run git lfs pull"
    if start.lstrip()[:1] == b"<":
        return "this is an HTML page: download the file itself"
    return "download it again"
