"""Hugging Face weights into a backbone: every tensor used, or named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfft.core.errors import DataError, MissingInputError
from tfft.models.architecture import Architecture, Place
from tfft.models.layers import variables_by_path

_SHOWN = 10
_OLD_NAMES = ((".gamma", ".weight"), (".beta", ".bias"))


class LoadReport(NamedTuple):
    """What a checkpoint did not fit exactly.

    Attributes:
        unused: Tensors of the checkpoint that no variable took, such as a head.
        fresh: Names of the places that the checkpoint had no weights for.
    """

    unused: tuple[str, ...]
    fresh: tuple[str, ...]


def weight_files(folder: Path) -> list[Path]:
    """Returns the safetensors files of a model folder.

    Raises:
        MissingInputError: When there are none; says how to convert others.
        DataError: When the index names a file outside the folder.
    """
    single, index = (
        folder / "model.safetensors",
        folder / "model.safetensors.index.json",
    )
    if single.is_file():
        return [single]
    if index.is_file():
        names = sorted(set(_weight_map(index).values()))
        return [_inside(folder, name) for name in names]
    pickled = sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))
    raise MissingInputError(
        "model folder without model.safetensors",
        where=str(folder),
        fix=f"{pickled[0].name} is a pickle, which tfft never opens: convert it with "
        "model.save_pretrained(folder, safe_serialization=True)"
        if pickled
        else "download the weights as well",
    )


def _weight_map(index: Path) -> dict[str, str]:
    try:
        files = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
        if not all(isinstance(name, str) for name in files.values()):
            raise ValueError("it names files by something else than text")
        return files
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"index is not usable: {error}", where=str(index), fix="download it again"
        ) from error


def _inside(folder: Path, name: str) -> Path:
    path = folder / str(name)
    if Path(str(name)).name != name or not path.is_file() or path.is_symlink():
        raise DataError(
            f"index names the file {name!r}",
            where=str(folder),
            expected="a file in the same folder",
            fix="download the model again",
        )
    return path


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a safetensors file as arrays.

    Raises:
        DataError: When the file is no safetensors file, or cut off.
    """
    import ml_dtypes  # noqa: F401 (teaches NumPy bfloat16, or safetensors fails)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, TypeError, ValueError) as error:
        raise DataError(
            f"not a whole safetensors file: {error}",
            where=str(path),
            fix=_diagnosis(path),
        ) from error


def _diagnosis(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer: run git lfs pull"
    if start.lstrip()[:1] == b"<":
        return "this is an HTML page: download the file itself"
    return "download it again"


def assign_checkpoint(
    backbone: Any, architecture: Architecture, tensors: Mapping[str, np.ndarray]
) -> LoadReport:
    """Puts the tensors of a Hugging Face checkpoint into a backbone.

    Nothing is assigned before all of it is known to fit.

    Args:
        backbone: A built backbone of that architecture.
        architecture: Its names.
        tensors: The checkpoint, with or without the model's prefix.

    Returns:
        What was left over and what was missing, where that is allowed.

    Raises:
        DataError: For missing tensors or other shapes, ten of them at most.
    """
    variables = variables_by_path(backbone)
    found = {_plain_name(name, architecture.prefix): name for name in tensors}
    problems: list[str] = []
    fresh: list[str] = []
    planned: list[tuple[Any, np.ndarray]] = []
    used: set[str] = set()
    for place in architecture.places(backbone.num_layers):
        names = dict(place.weights())
        if place.name in architecture.optional and not found.keys() & names.values():
            fresh.append(place.name)
            continue
        for ours, theirs in names.items():
            if theirs not in found:
                problems.append(f"{theirs} is missing")
                continue
            used.add(found[theirs])
            value = to_keras(tensors[found[theirs]], place)
            problems.extend(_misfit(variables[ours], value, theirs, place))
            planned.append((variables[ours], value))
    if problems:
        raise DataError(
            f"the weights do not fit: {'; '.join(problems[:_SHOWN])}"
            + (f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""),
            expected="the tensors that config.json describes",
            fix="check that config.json and weights belong together",
        )
    for variable, value in planned:
        variable.assign(value.reshape(variable.shape))
    unused = [
        name for name in tensors if name not in used and "position_ids" not in name
    ]
    return LoadReport(tuple(sorted(unused)), tuple(fresh))


def _plain_name(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    for old, new in _OLD_NAMES:
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def _misfit(variable: Any, value: np.ndarray, name: str, place: Place) -> Iterator[str]:
    if value.size != np.prod(variable.shape):
        yield f"{name} has {value.size:,} values, not {np.prod(variable.shape):,}"
    elif not _same_layout(variable.shape, value, name, place):
        yield f"{name} has its {value.size:,} values in another shape"
    elif not np.isfinite(value).all():
        yield f"{name} holds values that are no finite numbers"


def _same_layout(shape: tuple, value: np.ndarray, name: str, place: Place) -> bool:
    """Tells whether a reshape only splits sizes up, as into heads."""
    if name.endswith(".bias") or place.kind == "norm":
        return value.ndim == 1
    return value.ndim == 2 and value.shape[0] in np.cumprod(shape)


def to_keras(value: np.ndarray, place: Place) -> np.ndarray:
    """Returns a tensor as Keras keeps it: kernels are (in, out), theirs (out, in)."""
    value = np.asarray(value, dtype="float32")
    return value.T if place.kind == "linear" and value.ndim == 2 else value
