"""Weights next to layers of the backbone that change what those layers compute."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfft.compute.layers import spots
from tfft.methods.inject import (
    add_child,
    intercept,
    own_weights,
    release,
    remove_child,
)

# A layer, the name of one of its methods, and the function to call around it.
_Call = tuple[Any, str, Any]


class Attached(keras.layers.Layer):
    """A layer that changes the calls of other layers; abstract.

    A gate of 1 or 0 switches it on and off, in traced functions too.

    Args:
        host: The backbone's layer that will hold the weights.
        seed: Seed for initial values.
        label: Prefix that distinguishes several adapters of one layer.
        **options: Those of every Keras layer.
    """

    def __init__(
        self, host: Any, *, seed: int | None = None, label: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        self.seed, self.label = seed, label
        # Behind a function, or Keras would count it as a child of this layer.
        self._host = lambda: host
        # The intercepted calls, and those that mark the host's weights in a file.
        self._calls: Callable[[], tuple[list[_Call], list[_Call]]] = lambda: ([], [])

    def join(self, calls: list[_Call]) -> None:
        """Creates the weights on the first call and intercepts the host's methods.

        Args:
            calls: Layers, names of their methods, and the functions to call instead.
        """
        host = self._host()
        add_child(host, self.name, self)
        marks = _marks(host)
        self._calls = lambda: (calls, marks)
        for layer, method, around in (*calls, *marks):
            intercept(layer, method, around)

    def leave(self, backbone: Any) -> Callable[[], None]:
        """Reverts `join`.

        Returns:
            A function that joins again with the same weights.
        """
        calls, marks = self._calls()
        for layer, method, around in (*calls, *marks):
            release(layer, method, around)
        remove_child(self._host(), self.name)
        return lambda: self.join(calls)

    def build(self, input_shape: Any) -> None:
        """Creates the weights and the gate."""
        self.make_weights()
        self.gate = self.add_weight(
            name="gate",
            shape=(),
            initializer="ones",
            trainable=False,
            dtype="float32",
        )
        self.built = True

    def make_weights(self) -> None:
        """Creates this layer's own weights."""
        raise NotImplementedError

    @property
    def adapter_variables(self) -> list[Any]:
        """The weights that train."""
        return own_weights(self)[0]

    @property
    def learned_inputs(self) -> list[Any]:
        """Weights that act as inputs of the text; most layers have none."""
        return []

    @property
    def saved_variables(self) -> dict[str, Any]:
        """This layer's own weights by name."""
        return {variable.name: variable for variable in self.adapter_variables}

    def update(self) -> None:
        """Returns None: these weights are not a low-rank update of a matrix."""

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns the gate's closed value."""
        return [(self.gate, ops.zeros_like(self.gate))]

    def before_mask(self, mask: Any, length: int) -> Any:
        """Returns a mask with `length` more positions before its last axis.

        These positions are visible while the gate is open.
        """
        shape = (*tuple(ops.shape(mask))[:-1], length)
        opened = ops.broadcast_to(ops.cast(self.gate, mask.dtype), shape)
        return ops.concatenate([opened, mask], axis=-1)


_MARK = "tfft_adapter"


def _marks(host: Any) -> list[_Call]:
    """Returns calls that mark the host's weights in a Keras file.

    When Keras loads a file, it ignores weights of layers that the model lacks. One
    extra variable in a layer that the model does have makes loading into a plain
    backbone an error.
    """
    marked = next(
        spot.layer
        for spot in spots(host)
        if own_weights(spot.layer)[0] and not isinstance(spot.layer, Attached)
    )
    return [
        (marked, "save_own_variables", _save_marked),
        (marked, "load_own_variables", _load_marked),
    ]


def _save_marked(original: Callable[..., Any], store: Any) -> None:
    original(store)
    store[_MARK] = np.ones(())


def _load_marked(original: Callable[..., Any], store: Any) -> None:
    original({key: store[key] for key in store.keys() if key != _MARK})


def bound(function: Callable[..., Any], args: Any, options: Any) -> dict[str, Any]:
    """Returns the arguments of a call by name, defaults included.

    >>> bound(lambda x, mask=None: 0, (1,), {})
    {'x': 1, 'mask': None}
    """
    while hasattr(function, "args"):  # one interception wraps another
        function = function.args[0]
    given = inspect.signature(function).bind(*args, **options)
    given.apply_defaults()
    return dict(given.arguments)
