"""PyTorch's modules, and the places of a backbone that each consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.checkpoints.peft.folder import WEIGHTS, Folder
from tfft.compute.layers import layers_by_path
from tfft.models.architecture import Architecture, Place

_SHOWN = 10


@dataclass(frozen=True)
class Module:
    """A linear module of PyTorch, and the places it consists of.

    Attributes:
        name: Its name without the model's prefix.
        places: One place, or the parts of a fused module in order.
        shape: (in, out) of the whole.
    """

    name: str
    places: tuple[Place, ...]
    shape: tuple[int, int]

    def kernel(self, layers: Mapping[str, Any]) -> np.ndarray:
        """Returns the module's matrix in float32, without adapters.

        Args:
            layers: The backbone's layers by path.
        """
        from tfft.methods.layers.matrix import kernel_of

        parts = [kernel_of(layers[place.path]) for place in self.places]
        return np.concatenate(parts, axis=1)

    def share(self, values: np.ndarray, place: Place, axis: int) -> np.ndarray:
        """Returns the part of a fused tensor that belongs to a place."""
        parts = np.split(values, place.share.of, axis)
        return np.ascontiguousarray(parts[place.share.index])


def modules_of(backbone: Any, architecture: Architecture) -> dict[str, Module]:
    """Returns the linear modules inside the stack of a plain backbone, by name."""
    from tfft.methods.layers.matrix import Matrix
    from tfft.methods.layers.wrapper import Wrapper

    layers = layers_by_path(backbone)
    grouped: dict[str, list[Place]] = {}
    for place in architecture.linear_places(backbone.num_layers):
        grouped.setdefault(place.theirs, []).append(place)
    modules = {}
    for name, places in grouped.items():
        layer = layers[places[0].path]
        matrix = layer.matrix if isinstance(layer, Wrapper) else Matrix(layer)
        inputs, outputs = matrix.shape
        shape = (inputs, outputs * places[0].share.of)
        ordered = sorted(places, key=lambda place: place.share.index)
        modules[name] = Module(name, tuple(ordered), shape)
    return modules


class Sorted:
    """The tensors of a folder, sorted into adapters and others.

    Args:
        folder: The folder.
        architecture: Its prefix is removed from the names.
        modules: The modules that can be adapted.
        endings: The ends of the names of adapter tensors.

    Attributes:
        prefix: The architecture's prefix, or "" if the names lack it.
        adapted: The tensors of each adapted module, by ending.
        others: The rest by name: heads and modules that are saved whole.

    Raises:
        DataError: For adapters on modules that cannot be adapted.
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
        self.prefix = ""
        unknown = {}
        for full, value in folder.tensors.items():
            name = full.removeprefix(architecture.prefix)
            module, ending = _split(name, endings)
            if ending in endings and module in modules:
                self.adapted.setdefault(module, {})[ending] = value
                self.prefix = full.removesuffix(f"{module}.{ending}")
            elif ending:
                unknown[name] = module
            else:
                self.others[name] = value
        _refuse_unknown(folder, architecture, unknown)


def _refuse_unknown(
    folder: Folder, architecture: Architecture, unknown: Mapping[str, str]
) -> None:
    """Refuses adapters on modules that cannot be adapted.

    Args:
        folder: The folder.
        architecture: Gives the names of modules inside the layers.
        unknown: The module of each unknown tensor, by the tensor's name.

    Raises:
        DataError: If there are any. The fix depends on where the modules are.
    """
    stems = tuple(place.theirs.split("{i}")[0] for place in architecture.per_layer)
    outside = sorted({m for m in unknown.values() if not m.startswith(stems)})
    if outside and len(outside) == len(set(unknown.values())):
        raise folder.error(
            f"adapters on {', '.join(outside[:_SHOWN])}",
            file=WEIGHTS,
            expected="adapters on linear modules inside the layers",
            fix="merge the adapter with PEFT's merge_and_unload and load that model",
        )
    refuse(folder, [f"{name} is not known" for name in sorted(unknown)])


def _split(name: str, endings: Sequence[str]) -> tuple[str, str]:
    """Returns the module of an adapter tensor and the rest of its name, else ""."""
    for ending in endings:
        if name.endswith("." + ending):
            return name.removesuffix("." + ending), ending
    module, mark, rest = name.partition(".lora_")
    return (module, mark[1:] + rest) if mark else (name, "")


def refuse(folder: Folder, problems: Sequence[str]) -> None:
    """Raises if there are problems with tensors.

    Raises:
        DataError: Names up to ten of the problems.
    """
    if not problems:
        return
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise folder.error(
        f"the weights do not fit: {'; '.join(problems[:_SHOWN])}{more}",
        file=WEIGHTS,
        fix="use the model that they were trained on",
    )
