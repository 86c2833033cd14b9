"""Finds layers inside a backbone, through public attributes only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Spot(NamedTuple):
    """A layer, the layer that holds it, and the attribute that it is held under.

    Attributes:
        parent: The layer or model that holds it.
        attribute: The attribute's name; None for a layer of a model.
        layer: The layer itself.
    """

    parent: Any
    attribute: str | None
    layer: Any


def spots(layer: Any) -> Iterator[Spot]:
    """Yields every layer below a layer or model once, parents first."""
    seen: set[int] = set()
    stack = [layer]
    while stack:
        parent = stack.pop()
        for spot in _children(parent):
            if id(spot.layer) not in seen:
                seen.add(id(spot.layer))
                stack.append(spot.layer)
                yield spot


def _children(parent: Any) -> Iterator[Spot]:
    import keras

    if isinstance(parent, keras.Model):
        for child in parent.layers:
            yield Spot(parent, None, child)
        return
    for attribute, value in vars(parent).items():
        if isinstance(value, keras.Layer):
            yield Spot(parent, attribute, value)


def layers_by_path(backbone: Any) -> dict[str, Any]:
    """Returns the layers below a backbone by their Keras path.

    Layers that are never built, such as dropout, have no path and are left out.
    """
    return {spot.layer.path: spot.layer for spot in spots(backbone) if spot.layer.path}


def variables_by_path(model: Any) -> dict[str, Any]:
    """Returns a model's weights by their Keras path, without random states."""
    return {variable.path: variable for variable in model.weights}


def set_dropout(backbone: Any, rate: float) -> None:
    """Sets the rate of every dropout layer below a backbone.

    Args:
        backbone: A built backbone.
        rate: At least 0 and below 1.
    """
    import keras

    for spot in spots(backbone):
        if isinstance(spot.layer, keras.layers.Dropout):
            spot.layer.rate = rate
