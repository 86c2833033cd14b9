"""Putting a layer in the place of another inside a built model.

Keras has no public way to do it, so this is the one file that touches its private
parts: a layer's tracker, which is locked once the layer is built, and the path a
layer believes it stands at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfft.models.layers import Spot, spots


def wrap(backbone: Any, path: str, make: Callable[[Any], Any]) -> Any:
    """Replaces the layer at a path by what `make` builds around it.

    Args:
        backbone: A built backbone.
        path: The Keras path of a layer that another layer holds as an attribute.
        make: Takes the layer and returns the one to stand in its place.

    Returns:
        The new layer, built.
    """
    spot = next(spot for spot in spots(backbone) if spot.layer.path == path)
    wrapper = make(spot.layer)
    # Without it every variable would be called query/lora_a, whatever its layer.
    wrapper._parent_path = spot.parent.path
    wrapper.build(None)
    _replace(spot, wrapper)
    return wrapper


def _replace(spot: Spot, new: Any) -> None:
    """Sets the attribute and keeps the order of layers, hence of the variables."""
    parent = spot.parent
    index = parent._layers.index(spot.layer)
    parent._tracker.unlock()
    try:
        delattr(parent, spot.attribute)
        setattr(parent, spot.attribute, new)
        parent._layers.remove(new)
        parent._layers.insert(index, new)
    finally:
        parent._tracker.lock()
