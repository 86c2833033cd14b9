"""Dropout that can be computed twice with one result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfft.compute.dropout import dropout, next_seed


class Dropouts:
    """The dropout layers of a block, their random numbers drawn beforehand.

    Recomputing a block for its gradient must drop what the forward pass dropped,
    while a Keras dropout layer draws new values in every call.

    Args:
        seeds: A seed of shape (2,) for each layer by its identity; none drop
            nothing.
    """

    def __init__(self, seeds: dict[int, Any]) -> None:
        self._seeds = seeds

    def __call__(self, layer: Any, x: Any) -> Any:
        """Returns what a dropout layer leaves of x."""
        seed = self._seeds.get(id(layer))
        if seed is None:
            return x
        return dropout(x, layer.rate, seed)


def draw(layers: Sequence[Any]) -> list[tuple[int, Any]]:
    """Returns the next seed of each layer that drops anything, by its identity."""
    return [(id(layer), next_seed(layer)) for layer in layers if layer.rate > 0]
