"""Running a network over batches, without training it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfft.data.batching import Batches


class Forward:
    """The forward pass of a network, traced once.

    Args:
        network: A Keras model that takes batch dicts. Change its weights as you
            like; after a change of its layers or its precision make a new one.
        forms: The shape and the type of its inputs that are no ids, by name.
    """

    def __init__(
        self, network: Any, forms: Mapping[str, tuple[Any, Any]] | None = None
    ) -> None:
        import tensorflow as tf

        names = list(network.input)
        known = dict.fromkeys(names, ((None, None), "int32")) | dict(forms or {})
        self._call = tf.function(
            lambda batch: network(batch, training=False),
            input_signature=[
                {name: tf.TensorSpec(*known[name], name) for name in names}
            ],
        )
        self._names = names

    def over(self, network: Any, forms: Mapping[str, tuple[Any, Any]]) -> Forward:
        """Returns the same for another network of the same outputs."""
        return Forward(network, forms)

    def __call__(
        self, batches: Batches, advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Returns the outputs of all examples, in their order.

        Args:
            batches: The examples in batches without a seed.
            advance: Called with the rows done after each batch.
        """
        outputs: np.ndarray | None = None
        for rows in batches.rows():
            batch = batches.batch(rows)
            values = self._call({name: batch[name] for name in self._names}).numpy()
            if outputs is None:
                outputs = np.empty(
                    (len(batches.examples), *values.shape[1:]), "float32"
                )
            outputs[rows] = values[: len(rows)]
            if advance:
                advance(len(rows))
        return outputs
