"""Hugging Face weights into a backbone: every tensor used, or named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfft.core.errors import DataError, MissingInputError
from tfft.models.architecture import Architecture
from tfft.models.layers import variables_by_path
from tfft.models.places import Weight

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
    found = _by_plain_name(tensors, architecture.prefix)
    wanted: list[Weight] = []
    fresh: list[str] = []
    for place in architecture.places_of(backbone):
        weights = list(place.weights())
        absent = not any(weight.theirs in found for weight in weights)
        if absent and place.name in architecture.optional:
            fresh.append(place.name)
        else:
            wanted.extend(weights)
    problems = [
        problem
        for weight in wanted
        for problem in _misfits(weight, variables[weight.path].shape, found, tensors)
    ]
    if problems:
        raise DataError(
            f"the weights do not fit: {'; '.join(problems[:_SHOWN])}"
            + (f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""),
            expected="the tensors that config.json describes",
            fix="check that config.json and weights belong together",
        )
    for weight in wanted:
        variable = variables[weight.path]
        value = tensors[found[weight.theirs]]
        variable.assign(weight.to_keras(value, tuple(variable.shape)))
    used = {found[weight.theirs] for weight in wanted}
    unused = [
        original
        for name, original in found.items()
        if original not in used and not _is_needless(name, architecture)
    ]
    return LoadReport(tuple(sorted(unused)), tuple(fresh))


def _by_plain_name(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Returns the names by what they are without the prefix.

    Raises:
        DataError: When a tensor is there twice, with and without it.
    """
    found: dict[str, str] = {}
    for name in names:
        plain = _plain_name(name, prefix)
        if plain in found:
            raise DataError(
                f"both {found[plain]} and {name} are in the weights",
                expected="each tensor once",
                fix="save the model again",
            )
        found[plain] = name
    return found


def _plain_name(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    for old, new in _OLD_NAMES:
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def _is_needless(name: str, architecture: Architecture) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in architecture.unused)


def _misfits(
    weight: Weight,
    shape: tuple[int, ...],
    found: Mapping[str, str],
    tensors: Mapping[str, np.ndarray],
) -> Iterator[str]:
    """Yields what keeps a variable of a shape from taking its tensor."""
    name = weight.theirs
    if name not in found:
        yield f"{name} is missing"
        return
    value, expected = tensors[found[name]], weight.tensor_shape(tuple(shape))
    if value.shape != expected:
        yield f"{name} has shape {value.shape}, not {expected}"
    elif value.dtype.kind not in "fV":
        yield f"{name} holds {value.dtype} values"
    elif not np.isfinite(value).all():
        yield f"{name} holds values that are no finite numbers"
