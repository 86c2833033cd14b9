"""Weights beside layers of the backbone, which change what those compute."""

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

# A layer, the name of its method, and what stands around that.
_Call = tuple[Any, str, Any]


class Beside(keras.layers.Layer):
    """A layer that changes the calls of others; abstract.

    A gate of 1 or 0 switches it on and off, in traced functions too.

    Args:
        host: The backbone's layer that will hold the weights.
        calls: The layers and the names of their methods to change, with the
            functions that stand around them.
        seed: For initial values.
        label: Tells the adapters of one layer apart.
        **options: Those of every Keras layer.
    """

    def __init__(
        self, host: Any, *, seed: int | None = None, label: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        self.seed, self.label = seed, label
        self._host = lambda: host  # or it would count as a child of this layer
        # What stands around the host's calls, and what marks its files.
        self._calls: Callable[[], tuple[list[_Call], list[_Call]]] = lambda: ([], [])

    def join(self, calls: list[_Call]) -> None:
        """Makes the weights, the first time, and changes the calls.

        Args:
            calls: Layers, names of their methods, and what stands around those.
        """
        host = self._host()
        add_child(host, self.name, self)
        marks = _marks(host)
        self._calls = lambda: (calls, marks)
        for layer, method, around in (*calls, *marks):
            intercept(layer, method, around)

    def leave(self, backbone: Any) -> Callable[[], None]:
        """Undoes `join`.

        Returns:
            A function that joins again, with the same weights.
        """
        calls, marks = self._calls()
        for layer, method, around in (*calls, *marks):
            release(layer, method, around)
        remove_child(self._host(), self.name)
        return lambda: self.join(calls)

    def build(self, input_shape: Any) -> None:
        """Makes the own weights and the gate."""
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
        """Adds the own weights."""
        raise NotImplementedError

    @property
    def adapter_variables(self) -> list[Any]:
        """The own weights that train."""
        return own_weights(self)[0]

    @property
    def learned_inputs(self) -> list[Any]:
        """Own weights that stand for inputs of the text; most have none."""
        return []

    @property
    def saved_variables(self) -> dict[str, Any]:
        """The own weights by name."""
        return {variable.name: variable for variable in self.adapter_variables}

    def update(self) -> None:
        """Returns None: these weights are no low-rank update of a matrix."""

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns a closed gate."""
        return [(self.gate, ops.zeros_like(self.gate))]

    def before_mask(self, mask: Any, length: int) -> Any:
        """Returns a mask with as many positions as the length put before its last axis.

        They are open as long as the gate is.
        """
        shape = (*tuple(ops.shape(mask))[:-1], length)
        opened = ops.broadcast_to(ops.cast(self.gate, mask.dtype), shape)
        return ops.concatenate([opened, mask], axis=-1)


_MARK = "tfft_adapter"


def _marks(host: Any) -> list[_Call]:
    """Returns calls that mark the host's weights in a file of Keras.

    Keras ignores a file's weights of layers that a model lacks. One variable too many
    in a layer it has makes loading into a plain backbone an error.
    """
    marked = next(
        spot.layer
        for spot in spots(host)
        if own_weights(spot.layer)[0] and not isinstance(spot.layer, Beside)
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
    while hasattr(function, "args"):  # an interception around another
        function = function.args[0]
    given = inspect.signature(function).bind(*args, **options)
    given.apply_defaults()
    return dict(given.arguments)
