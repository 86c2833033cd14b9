"""Converts one LoRA module between tfft's layers and PEFT's tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfft.checkpoints.peft.modules import Module
from tfft.core.errors import ConfigError
from tfft.methods.adapter import Injected

A, B, M = "lora_A.weight", "lora_B.weight", "lora_magnitude_vector"


class Kept(NamedTuple):
    """A module as PEFT stores it.

    Attributes:
        tensors: Its tensors by the ends of their names.
        rank: The rank of A and B.
        alpha: The numerator of the scale.
    """

    tensors: dict[str, np.ndarray]
    rank: int
    alpha: float


def kept(module: Module, ones: Sequence[Injected]) -> Kept:
    """Returns the tensors of one module.

    Layers of a fused module that share one A are stored as they are. Layers that have
    an A each are stacked: A is concatenated and B has a block for each, so the rank is
    the sum of their ranks.

    Raises:
        ConfigError: For DoRA on parts of a fused module.
    """
    layers = [one.layer for one in ones]
    first = layers[0]
    if not is_stacked(module, ones):
        a, _ = _factors(first)
        b = np.concatenate([_factors(layer)[1] for layer in layers], axis=1)
    else:
        a, b = _stacked(module, ones)
    tensors = {A: a.T, B: b.T}
    if first.use_dora:
        if len(layers) < len(module.places):
            raise ConfigError(
                f"DoRA on a part of {module.name}",
                where="save",
                expected="magnitudes of the whole matrix, as PEFT stores them",
                fix=f"use {module.name.rsplit('.', 1)[-1]} as the target",
            )
        tensors[M] = np.concatenate([np.array(layer.magnitude) for layer in layers])
    rank = a.shape[1]
    alpha = first.scale * (math.sqrt(rank) if first.use_rslora else rank)
    return Kept(tensors, rank, round(alpha, 6))


def _factors(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = layer.factors()
    return np.array(a), np.array(b)


def _stacked(module: Module, ones: Sequence[Injected]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the A of all parts concatenated, and B with a block for each part."""
    parts = [(one, *_factors(one.layer)) for one in ones]
    size = module.shape[1] // len(module.places)
    b = np.zeros((sum(a.shape[1] for _, a, _ in parts), module.shape[1]), "float32")
    row = 0
    for one, part_a, part_b in parts:
        start = one.place.share.index * size
        # The module has one scale, so a part with another scale absorbs the ratio.
        ratio = one.layer.scale / ones[0].layer.scale
        b[row : row + part_a.shape[1], start : start + size] = part_b * ratio
        row += part_a.shape[1]
    return np.concatenate([a for _, a, _ in parts], axis=1), b


def is_stacked(module: Module, ones: Sequence[Injected]) -> bool:
    """Returns whether `kept` stacks the layers of a module."""
    first = ones[0].layer
    shared = all(one.layer.lora_a is first.lora_a for one in ones)
    return not (shared and len(ones) == len(module.places))


def values(
    module: Module, ones: Sequence[Injected], tensors: Mapping[str, np.ndarray]
) -> list[tuple[Any, np.ndarray]]:
    """Returns the variables of a module's layers with their values.

    Args:
        module: The module.
        ones: Its layers. If they are stacked, their ranks add up to the tensors' rank.
        tensors: The tensors that `kept` returned or PEFT wrote.
    """
    a, b = (tensors[name].T.astype("float32") for name in (A, B))
    pairs: list[tuple[Any, np.ndarray]] = []
    row = 0
    for one in ones:
        own_a, own_b = a, module.share(b, one.place, 1)
        if is_stacked(module, ones):
            count = _rank_on_disk(one.layer)
            own_a, own_b = a[:, row : row + count], own_b[row : row + count]
            row += count
        pairs += _values_of(one.layer, own_a, own_b)
        if one.layer.use_dora:
            share = module.share(tensors[M].astype("float32"), one.place, 0)
            pairs.append((one.layer.magnitude, share))
    return pairs


def _rank_on_disk(layer: Any) -> int:
    return layer.rank * (2 if layer.first else 1)


def _values_of(layer: Any, a: np.ndarray, b: np.ndarray) -> list[tuple[Any, Any]]:
    if not layer.first:
        return [(layer.lora_a, a), (layer.lora_b, b)]
    # Stored as [A, first A] and [B; -first B]; see `LoRALayer.factors`.
    a, first_a = np.split(a, 2, axis=1)
    b, first_b = np.split(b, 2, axis=0)
    return list(
        zip(
            [layer.lora_a, layer.lora_b, *layer.first],
            [a, b, first_a, -first_b],
            strict=True,
        )
    )
