"""Reads the pooling of a model from the files of Sentence Transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfft.core.errors import DataError, shorten
from tfft.core.model_config import Pooling, read_config
from tfft.core.model_folder import file_in, folder_in

MODULES = "modules.json"
_MOST_MODULES = 100
# Pooling modes by Sentence Transformers' names, in the order it concatenates several.
_MODES: dict[str, Pooling] = {
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weightedmean",
    "lasttoken": "last",
}
# Before version 5.4 each mode had a switch of its own.
_SWITCHES = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
# Modules after the pooling that a task can ignore, and why.
_IGNORED = {
    "Normalize": "a head learns from vectors of any length",
    "Dropout": "the task has its own",
}


class Module(NamedTuple):
    """An entry of `modules.json`.

    Attributes:
        kind: The name of its class.
        path: The folder of its files; empty for the model folder itself.
    """

    kind: str
    path: str


class ModelPooling(NamedTuple):
    """The pooling that a model folder names.

    Attributes:
        pooling: The pooling; None for one that tfft does not implement.
        lacking: The part that tfft does not implement, for an error message.
        notes: The modules that were ignored, one sentence each.
        near: The closest pooling that tfft implements.
    """

    pooling: Pooling | None
    lacking: str = ""
    notes: tuple[str, ...] = ()
    near: Pooling = "mean"


def read_pooling(folder: Path, default: Pooling) -> ModelPooling:
    """Returns the pooling of a model.

    Args:
        folder: A Hugging Face folder, perhaps with files of Sentence Transformers:
            `modules.json`, or `1_Pooling` alone.
        default: The pooling of a folder that names none.

    Raises:
        DataError: When a file is not usable.
    """
    modules = read_modules(folder)
    if not modules and folder_in(folder, "1_Pooling") is not None:
        modules = [Module("Transformer", ""), Module("Pooling", "1_Pooling")]
    if modules and modules[0].kind == "Transformer":
        del modules[0]
    found = ModelPooling(default)
    near = found.near
    if modules and modules[0].kind == "Pooling":
        found = _pooling(folder, modules.pop(0).path)
        near = found.pooling or near
    lacking = [one.kind for one in modules if one.kind not in _IGNORED]
    if lacking and not found.lacking:
        found = ModelPooling(None, f"{lacking[0]} in {MODULES}", near=near)
    notes = tuple(
        f"{one.kind} in {MODULES} is ignored: {_IGNORED[one.kind]}"
        for one in modules
        if one.kind in _IGNORED
    )
    return found._replace(notes=notes)


def transformer_folder(folder: Path) -> Path:
    """Returns the folder that holds the transformer's files, from `modules.json`.

    The first versions of Sentence Transformers kept them in `0_Transformer`.

    Raises:
        DataError: When `modules.json` is not usable.
    """
    first = next(iter(read_modules(folder)), Module("Transformer", ""))
    if first.kind != "Transformer" or not first.path:
        return folder
    return folder_in(folder, first.path) or folder


def read_modules(folder: Path) -> list[Module]:
    """Returns the modules of a folder in order; empty without `modules.json`.

    Raises:
        DataError: When the file does not hold a list of modules.
    """
    path = file_in(folder, MODULES)
    if path is None:
        return []
    try:
        content = json.loads(path.read_bytes()[:1_000_000])
        if not isinstance(content, list) or len(content) > _MOST_MODULES:
            raise ValueError("not a list of modules")
        return [_module(one) for one in content]
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{MODULES} is not usable: {error}",
            where=str(path),
            expected="a list of objects with path and type",
            fix="download the model again",
        ) from error


def _module(content: Any) -> Module:
    known = isinstance(content, dict)
    kind, path = (content.get("type"), content.get("path", "")) if known else (0, 0)
    if not isinstance(kind, str) or not isinstance(path, str):
        raise ValueError(f"module {shorten(content)}")
    # The package moved its classes between versions but kept their names.
    return Module(kind.rpartition(".")[2], path)


def _pooling(folder: Path, path: str) -> ModelPooling:
    place = folder_in(folder, path)
    if place is None:
        raise DataError(
            f"{MODULES} names the folder {shorten(path)}, which does not exist",
            where=str(folder),
            expected="a folder with the pooling's config.json",
            fix="download the model again",
        )
    config = read_config(place)
    modes = _modes(config, place)
    if len(modes) > 1:
        return ModelPooling(None, f"pooling {'+'.join(modes)}, several at once")
    [mode] = modes
    if mode not in _MODES:
        return ModelPooling(None, f"pooling {shorten(mode)}")
    return ModelPooling(_MODES[mode])


def _modes(config: Mapping[str, Any], place: Path) -> Sequence[str]:
    """Returns the pooling modes, by Sentence Transformers' names.

    Raises:
        DataError: When the value is neither a string nor a list of strings.
    """
    given = config.get("pooling_mode")
    if given is None:
        # When no mode is on, Sentence Transformers uses the mean.
        on = [mode for mode, switch in _SWITCHES.items() if config.get(switch)]
        unknown = [
            name
            for name, value in config.items()
            if value is True
            and name.startswith("pooling_mode_")
            and name not in _SWITCHES.values()
        ]
        return [*on, *unknown] or ["mean"]
    modes = [given] if isinstance(given, str) else given
    words = isinstance(modes, list) and all(isinstance(one, str) for one in modes)
    if not words or not modes:
        raise DataError(
            f"pooling_mode={shorten(given)}",
            where=str(place / "config.json"),
            expected="the name of a mode, or a list of names",
            fix="download the model again",
        )
    return modes
