"""Runs one network with several sets of weights, and combines the outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfft.compute.split_frozen import split_frozen


class Members(keras.layers.Layer):
    """Runs a network once for each set of values of some of its variables.

    Variables that are the same in all sets, those of the backbone, exist once. The
    layers below the first one that differs are computed once per batch.

    Args:
        network: A Keras model that takes batch dicts.
        variables: The variables that differ.
        values: Their values, one list for each member.
        join: Maps outputs of shape (members, ...) to shape (...).
        **options: Options of every Keras layer.
    """

    def __init__(
        self,
        network: Any,
        variables: Sequence[Any],
        values: Sequence[Sequence[np.ndarray]],
        join: Callable[[Any], Any],
        **options: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "name": "members", **options})
        self.network, self._join, self.count = network, join, len(values)
        # Behind a function, or Keras would count them as this layer's own.
        self._variables = lambda: variables
        self._stacked = []
        for index, variable in enumerate(variables):
            stacked = np.stack([one[index] for one in values])
            own = self.add_weight(
                name=f"member_{index}",
                shape=stacked.shape,
                initializer="zeros",
                trainable=False,
                dtype=variable.dtype,
            )
            own.assign(stacked)
            self._stacked.append(own)
        # Inference draws no random numbers.
        split = split_frozen(network, despite_dropout=True)
        self._parts = lambda: split
        self.shared = split.kernels if split else 0.0

    def call(self, inputs: Any) -> Any:
        """Returns the combined outputs of the members.

        Args:
            inputs: The batch dict.
        """
        split = self._parts()
        rest = self.network
        if split is not None:
            states = split.prefix({name: inputs[name] for name in split.prefix.input})
            known = dict(zip(split.names, keras.tree.flatten(states), strict=True))
            rest = split.rest
            inputs = {name: {**inputs, **known}[name] for name in rest.input}
        outputs = [self._member(rest, inputs, index) for index in range(self.count)]
        return self._join(ops.stack(outputs))

    def _member(self, rest: Any, inputs: Any, index: int) -> Any:
        """Returns the network's outputs with a member's values."""
        values = [
            (variable, ops.convert_to_tensor(stacked)[index])
            for variable, stacked in zip(self._variables(), self._stacked, strict=True)
        ]
        with keras.StatelessScope(state_mapping=values):
            return rest(inputs, training=False)


def joined_network(
    network: Any,
    variables: Sequence[Any],
    values: Sequence[Sequence[np.ndarray]],
    join: Callable[[Any], Any],
) -> Any:
    """Returns a Keras model with the network's inputs and the combined outputs.

    Args:
        network: A Keras model that takes batch dicts; its variables may change later.
        variables: The variables that differ.
        values: Their values, one list for each member.
        join: Maps outputs of shape (members, ...) to shape (...).
    """
    members = Members(network, variables, values, join)
    return keras.Model(network.input, members(network.input))
