"""Modules as PyTorch has them, and the places of a backbone they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.checkpoints.peft.folder import WEIGHTS, Folder
from tfft.core.errors import shorten
from tfft.models.architecture import Architecture, Place
from tfft.models.layers import layers_by_path

_SHOWN = 10


@dataclass(frozen=True)
class Module:
    """A linear module of PyTorch and the places it is made of.

    Attributes:
        name: Its name without the model's prefix.
        places: One, or the parts of a fused one in their order.
        shape: (in, out) of the whole.
    """

    name: str
    places: tuple[Place, ...]
    shape: tuple[int, int]

    def share(self, values: np.ndarray, place: Place, axis: int) -> np.ndarray:
        """Returns the part of a fused tensor that belongs to a place."""
        parts = np.split(values, place.part.of, axis)
        return np.ascontiguousarray(parts[place.part.index])


def modules_of(backbone: Any, architecture: Architecture) -> dict[str, Module]:
    """Returns the linear modules inside the stack of a plain backbone, by name."""
    from tfft.adapters.layers.matrix import Matrix
    from tfft.adapters.layers.wrapper import Wrapper

    layers = layers_by_path(backbone)
    grouped: dict[str, list[Place]] = {}
    for place in architecture.linear_places(backbone.num_layers):
        grouped.setdefault(place.theirs, []).append(place)
    modules = {}
    for name, places in grouped.items():
        layer = layers[places[0].path]
        matrix = layer.matrix if isinstance(layer, Wrapper) else Matrix(layer)
        inputs, outputs = matrix.shape
        shape = (inputs, outputs * places[0].part.of)
        ordered = sorted(places, key=lambda place: place.part.index)
        modules[name] = Module(name, tuple(ordered), shape)
    return modules


class Sorted:
    """The tensors of a folder, by what they are.

    Args:
        folder: The folder.
        architecture: Its prefix is taken off the names.
        modules: What can be adapted.
        endings: What a module's adapter tensors end in.

    Attributes:
        adapted: For each adapted module its tensors by ending.
        others: What is left, by name: heads and modules saved whole.
    """

    def __init__(
        self,
        folder: Folder,
        architecture: Architecture,
        modules: Mapping[str, Module],
        endings: Sequence[str],
    ) -> None:
        self.adapted: dict[str, dict[str, np.ndarray]] = {}
        self.others: dict[str, np.ndarray] = {}
        unknown = []
        for full, value in folder.tensors.items():
            name = full.removeprefix(architecture.prefix)
            module, ending = _split(name, endings)
            if ending is None:
                self.others[name] = value
            elif module in modules:
                self.adapted.setdefault(module, {})[ending] = value
            else:
                unknown.append(name)
        refuse(folder, [f"{name} is not known" for name in sorted(unknown)])


def _split(name: str, endings: Sequence[str]) -> tuple[str, str | None]:
    for ending in endings:
        if name.endswith("." + ending):
            return name.removesuffix("." + ending), ending
    return name, None


def refuse(folder: Folder, problems: Sequence[str]) -> None:
    """Raises when there are problems with tensors, naming ten at most.

    Raises:
        DataError: For one or more.
    """
    if not problems:
        return
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise folder.error(
        f"the weights do not fit: {'; '.join(problems[:_SHOWN])}{more}",
        file=WEIGHTS,
        fix="use the model that they were trained on",
    )


def targeted(
    folder: Folder, architecture: Architecture, modules: Iterable[Module]
) -> list[Module]:
    """Returns the modules that the config's target fields mean, as PEFT reads them.

    Raises:
        DataError: When an entry means none, or a field cannot be read.
    """
    target = folder.config.get("target_modules")
    if not isinstance(target, str):
        target = folder.strings("target_modules")
    prefixes = ("", architecture.prefix)
    every = list(modules)

    def meant(entries: str | Sequence[str]) -> list[Module]:
        return [
            one
            for one in every
            if any(
                means(folder, "target_modules", entries, prefix + one.name)
                for prefix in prefixes
            )
        ]

    for entry in (target,) if isinstance(target, str) else target:
        if not meant(target if isinstance(target, str) else (entry,)):
            raise folder.error(
                f"target_modules: {shorten(entry)} matches no layer",
                expected="modules inside the layers of the model",
                fix="use the model that it was trained on",
            )
    chosen = meant(target)
    excluded = folder.config.get("exclude_modules") or ()
    if not isinstance(excluded, str):
        excluded = folder.strings("exclude_modules")
    layers = folder.config.get("layers_to_transform")
    indices = {layers} if isinstance(layers, int) else set(layers or ())
    return [
        one
        for one in chosen
        if not means(folder, "exclude_modules", excluded, one.name)
        and (layers is None or _layer_index(one) in indices)
    ]


def means(folder: Folder, key: str, entries: str | Sequence[str], name: str) -> bool:
    """Tells whether a field of the config means a module, as PEFT reads it.

    Text is a regular expression for the whole name; a list holds names or their
    tails.

    Raises:
        DataError: For an expression that cannot be used.
    """
    if isinstance(entries, str):
        return folder.matches(key, entries, name, whole=True)
    return any(name == entry or name.endswith("." + entry) for entry in entries)


def _layer_index(module: Module) -> int:
    return int(module.places[0].name.split(".")[1])
