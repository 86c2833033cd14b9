"""The backbone's own weights inside a PEFT adapter: biases and whole modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.adapters.adapter import Adapter
from tfft.checkpoints.peft.folder import Folder
from tfft.checkpoints.peft.format import Pairs
from tfft.checkpoints.peft.modules import refuse
from tfft.models.architecture import Architecture
from tfft.models.layers import variables_by_path
from tfft.models.places import Weight

# With bias="all" PEFT also writes every bias of a module saved whole below these,
# beside the one that it reads back.
_COPIES = (".modules_to_save.", ".original_module.")


def whole_modules(adapter: Adapter) -> list[str]:
    """Returns the modules of the backbone that train in full, by PyTorch's name."""
    trained = {variable.path for variable in adapter.base_variables}
    return [
        place.theirs
        for place in adapter.architecture.places_of(adapter.backbone)
        if {weight.path for weight in place.weights()} <= trained
        and not all(weight.theirs.endswith(".bias") for weight in place.weights())
    ]


def base_tensors(adapter: Adapter) -> dict[str, np.ndarray]:
    """Returns the trained base weights as PyTorch names and keeps them.

    A fused tensor is written whole when any of its parts trains.
    """
    trained = {variable.path for variable in adapter.base_variables}
    parts: dict[str, dict[int, np.ndarray]] = {}
    chosen: set[str] = set()
    variables = variables_by_path(adapter.backbone)
    for weight in _weights(adapter):
        value = weight.from_keras(np.array(variables[weight.path]))
        key = _key(adapter, weight)
        parts.setdefault(key, {})[weight.part.index] = value
        if weight.path in trained:
            chosen.add(key)
    return {
        key: np.concatenate(
            [shares[index] for index in sorted(shares)],
            axis=0 if len(shares) == 1 or shares[0].ndim == 1 else -1,
        )
        for key, shares in parts.items()
        if key in chosen
    }


def _weights(adapter: Adapter) -> list[Weight]:
    places = adapter.architecture.places_of(adapter.backbone)
    return [weight for place in places for weight in place.weights()]


def _key(adapter: Adapter, weight: Weight) -> str:
    """Returns the tensor's name; PEFT moves an adapted layer below `base_layer`."""
    module, _, kind = weight.theirs.rpartition(".")
    adapted = {one.place.theirs for one in adapter.injected}
    return f"{module}.base_layer.{kind}" if module in adapted else weight.theirs


def take(
    folder: Folder,
    architecture: Architecture,
    backbone: Any,
    others: Mapping[str, np.ndarray],
) -> tuple[Pairs, tuple[str, ...], dict[str, dict[str, np.ndarray]]]:
    """Sorts the tensors that are no adapter's into base weights and heads.

    Args:
        folder: The folder, whose config says what was trained.
        architecture: Knows the names.
        backbone: Has the variables.
        others: The tensors by name.

    Returns:
        Base variables with their values, the places that train in full, and the
        weights of heads by module.

    Raises:
        DataError: For a tensor that nothing explains, or of another shape.
    """
    variables = variables_by_path(backbone)
    weights: dict[str, list[Weight]] = {}
    owners: dict[str, str] = {}
    for place in architecture.places_of(backbone):
        for weight in place.weights():
            weights.setdefault(weight.theirs, []).append(weight)
            owners[weight.theirs] = place.theirs
    saved = folder.strings("modules_to_save")
    has_biases = folder.config.get("bias", "none") != "none"
    pairs: Pairs = []
    whole: list[str] = []
    heads: dict[str, dict[str, np.ndarray]] = {}
    problems: list[str] = []
    for name, value in others.items():
        if has_biases and any(part in name for part in _COPIES):
            continue
        plain = name.replace(".base_layer.", ".")
        is_whole = _is_saved(owners.get(plain, ""), saved)
        if plain in weights and (is_whole or (has_biases and plain.endswith(".bias"))):
            for weight in weights[plain]:
                shape = tuple(variables[weight.path].shape)
                if value.shape != weight.tensor_shape(shape):
                    expected = weight.tensor_shape(shape)
                    problems.append(f"{name} has shape {value.shape}, not {expected}")
                else:
                    pairs.append(
                        (variables[weight.path], weight.to_keras(value, shape))
                    )
            if is_whole and owners[plain] not in whole:
                whole.append(owners[plain])
        elif name.split(".")[0] in saved:
            module, _, kind = name.rpartition(".")
            heads.setdefault(module, {})[kind] = value
        else:
            problems.append(f"{name} is not known")
    refuse(folder, problems)
    return pairs, tuple(whole), heads


def _is_saved(module: str, saved: tuple[str, ...]) -> bool:
    """Tells whether a module is one of those saved whole, or below one."""
    return any(f".{entry}." in f".{module}." for entry in saved)
