"""Dropout that gives the same result when it is computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfft.compute.dropout import dropout, next_seed


class Dropouts:
    """Applies dropout layers with seeds drawn beforehand.

    Recomputing a block for its gradient must drop the same values as the forward
    pass, but a Keras dropout layer draws new ones in every call.

    Args:
        seeds: Maps the `id` of a layer to its seed, shape (2,). A layer without a
            seed drops nothing.
    """

    def __init__(self, seeds: dict[int, Any]) -> None:
        self._seeds = seeds

    def __call__(self, layer: Any, x: Any) -> Any:
        """Returns x after dropout by that layer."""
        seed = self._seeds.get(id(layer))
        if seed is None:
            return x
        return dropout(x, layer.rate, seed)


def draw(layers: Sequence[Any]) -> list[tuple[int, Any]]:
    """Draws the next seed of each layer that drops anything, by the layer's `id`."""
    return [(id(layer), next_seed(layer)) for layer in layers if layer.rate > 0]
