"""Replaces a layer inside a built model.

Keras has no public way to do this, so this file uses private parts: a layer's tracker,
which is locked once the layer is built; the path that a layer gives its weights; and
methods that KerasHub's layers call on themselves. Only `tfft.compute` does the like.
tests/compute/test_keras_insides.py checks each of these parts.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from tfft.compute.layers import Spot, spots


def wrap(backbone: Any, path: str, make: Callable[[Any], Any]) -> Any:
    """Replaces the layer at a path with the one that `make` builds around it.

    Args:
        backbone: A built backbone.
        path: The Keras path of a layer that another layer holds as an attribute.
        make: Takes the layer and returns its replacement.

    Returns:
        The new layer, already built.
    """
    spot = next(spot for spot in spots(backbone) if spot.layer.path == path)
    wrapper = make(spot.layer)
    # Otherwise every layer would name its variables query/lora_a, whatever its path.
    wrapper._parent_path = spot.parent.path
    wrapper.build(None)
    put_in(wrapper, spot)
    return wrapper


def put_in(wrapper: Any, spot: Spot) -> None:
    """Puts a wrapper in place of the layer inside it."""
    import keras

    wrapper.layer.activation = keras.activations.linear
    _replace(spot, wrapper)


def take_out(backbone: Any, wrapper: Any) -> Spot:
    """Puts the wrapped layer back in place of its wrapper.

    Returns:
        The spot of the wrapped layer, for `put_in`.
    """
    spot = next(spot for spot in spots(backbone) if spot.layer is wrapper)
    wrapper.layer.activation = wrapper.activation
    _replace(spot, wrapper.layer)
    return Spot(spot.parent, spot.attribute, wrapper.layer)


def add_child(parent: Any, attribute: str, child: Any) -> None:
    """Adds a child to a built layer, building it first, so that its weights count."""
    child._parent_path = parent.path
    if not child.built:
        child.build(None)
    with _unlocked(parent):
        setattr(parent, attribute, child)


def remove_child(parent: Any, attribute: str) -> None:
    """Removes a child that `add_child` added."""
    parent._tracker.untrack(getattr(parent, attribute))
    delattr(parent, attribute)


def own_weights(layer: Any) -> tuple[list[Any], list[Any]]:
    """Returns a layer's weights without those of its children.

    Returns:
        The weights created as trainable, and the others.
    """
    return list(layer._trainable_variables), list(layer._non_trainable_variables)


def intercept(layer: Any, method: str, around: Callable[..., Any]) -> None:
    """Makes a layer call `around(original, *args)` in place of one of its methods.

    Interceptions of the same method stack; the last one added is called first.
    """
    chain = vars(layer).get(method)
    if not isinstance(chain, _Chain):
        chain = _Chain(getattr(layer, method), vars(layer).get(method))
        setattr(layer, method, chain)
    chain.arounds.append(around)


def release(layer: Any, method: str, around: Callable[..., Any]) -> None:
    """Removes an interception; after the last one the layer is as it was before."""
    chain = vars(layer)[method]
    chain.arounds.remove(around)
    if chain.arounds:
        return
    delattr(layer, method)
    if chain.own is not None:
        setattr(layer, method, chain.own)


class _Chain:
    """A method together with its interceptions.

    Args:
        original: The method.
        own: The same method if it is set on the layer itself, None if it is inherited.
    """

    def __init__(self, original: Callable[..., Any], own: Any) -> None:
        self.original, self.own, self.arounds = original, own, []

    def __call__(self, *args: Any, **options: Any) -> Any:
        step = self.original
        for around in self.arounds:
            step = functools.partial(around, step)
        return step(*args, **options)


def _replace(spot: Spot, new: Any) -> None:
    """Sets the attribute and keeps the order of the layers, and so of the variables."""
    spot.parent._tracker.replace_tracked_value("layers", spot.layer, new)
    setattr(spot.parent, spot.attribute, new)


@contextlib.contextmanager
def _unlocked(layer: Any) -> Iterator[None]:
    layer._tracker.unlock()
    try:
        yield
    finally:
        layer._tracker.lock()
