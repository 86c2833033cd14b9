"""Putting a layer in the place of another inside a built model.

Keras has no public way to do it, so this is the one file that touches its private
parts: a layer's tracker, which is locked once the layer is built, the path a layer
believes it stands at, and methods that layers of KerasHub call on themselves.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from tfft.compute.layers import Spot, spots


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
    put_in(wrapper, spot)
    return wrapper


def put_in(wrapper: Any, spot: Spot) -> None:
    """Sets a wrapper at the spot of the layer inside it."""
    import keras

    wrapper.layer.activation = keras.activations.linear
    _replace(spot, wrapper)


def take_out(backbone: Any, wrapper: Any) -> Spot:
    """Puts the layer inside a wrapper where the wrapper stands.

    Returns:
        The spot of the inner layer, for `put_in`.
    """
    spot = next(spot for spot in spots(backbone) if spot.layer is wrapper)
    wrapper.layer.activation = wrapper.activation
    _replace(spot, wrapper.layer)
    return Spot(spot.parent, spot.attribute, wrapper.layer)


def add_child(parent: Any, attribute: str, child: Any) -> None:
    """Gives a built layer one more layer, built by now, so that its weights count."""
    child._parent_path = parent.path
    if not child.built:
        child.build(None)
    with _unlocked(parent):
        setattr(parent, attribute, child)


def remove_child(parent: Any, attribute: str) -> None:
    """Takes out what `add_child` added."""
    parent._tracker.untrack(getattr(parent, attribute))
    delattr(parent, attribute)


def own_weights(layer: Any) -> tuple[list[Any], list[Any]]:
    """Returns a layer's weights without those of its children.

    Returns:
        The weights made to be trained, and the others.
    """
    return list(layer._trainable_variables), list(layer._non_trainable_variables)


def intercept(layer: Any, method: str, around: Callable[..., Any]) -> None:
    """Has a layer call `around(original, *args)` for one of its methods.

    Interceptions of one method stack; the last added is called first.
    """
    chain = vars(layer).get(method)
    if not isinstance(chain, _Chain):
        chain = _Chain(getattr(layer, method), vars(layer).get(method))
        setattr(layer, method, chain)
    chain.arounds.append(around)


def release(layer: Any, method: str, around: Callable[..., Any]) -> None:
    """Undoes an interception; after the last, the layer is as it was before."""
    chain = vars(layer)[method]
    chain.arounds.remove(around)
    if chain.arounds:
        return
    delattr(layer, method)
    if chain.own is not None:
        setattr(layer, method, chain.own)


class _Chain:
    """A method with what was put around it.

    Args:
        original: The method.
        own: The same, when it is the layer's own and not that of its class.
    """

    def __init__(self, original: Callable[..., Any], own: Any) -> None:
        self.original, self.own, self.arounds = original, own, []

    def __call__(self, *args: Any, **options: Any) -> Any:
        step = self.original
        for around in self.arounds:
            step = functools.partial(around, step)
        return step(*args, **options)


def _replace(spot: Spot, new: Any) -> None:
    """Sets the attribute and keeps the order of layers, hence of the variables."""
    spot.parent._tracker.replace_tracked_value("layers", spot.layer, new)
    setattr(spot.parent, spot.attribute, new)


@contextlib.contextmanager
def _unlocked(layer: Any) -> Iterator[None]:
    layer._tracker.unlock()
    try:
        yield
    finally:
        layer._tracker.lock()
