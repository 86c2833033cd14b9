"""Runs a network over batches, without training it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfft.compute.forward_only import forward_only
from tfft.compute.processor import for_processor, on_processor
from tfft.data.batching import Batches


class Forward:
    """The forward pass of a network, traced once.

    Args:
        network: A Keras model that takes batch dicts. Its weights may change; after a
            change of its layers or its precision make a new object.
        forms: Shape and dtype of the inputs that are not token ids, by name.
        per_token: Whether the network has an output for each token, instead of one
            for each example.
    """

    def __init__(
        self,
        network: Any,
        forms: Mapping[str, tuple[Any, Any]] | None = None,
        per_token: bool = False,
    ) -> None:
        import tensorflow as tf

        names = list(network.input)
        known = dict.fromkeys(names, ((None, None), "int32")) | dict(forms or {})

        def call(batch: Mapping[str, Any]) -> Any:
            with forward_only(), for_processor(on_processor()):
                return network(batch, training=False)

        self._call = tf.function(
            call,
            autograph=False,
            input_signature=[
                {name: tf.TensorSpec(*known[name], name) for name in names}
            ],
        )
        self._names, self._per_token = names, per_token

    def over(self, network: Any, forms: Mapping[str, tuple[Any, Any]]) -> Forward:
        """Returns the same for another network with outputs of the same kind."""
        return Forward(network, forms, self._per_token)

    def __call__(
        self, batches: Batches, advance: Callable[[int], None] | None = None
    ) -> Any:
        """Returns the outputs of all examples, in their order.

        Args:
            batches: The examples in batches without a seed.
            advance: Called after each batch with its number of rows.

        Returns:
            An array of shape (examples, ...). With an output for each token, a list
            of arrays of shape (tokens, ...), without padding.
        """
        outputs: list[np.ndarray] = [np.empty(0)] * len(batches.examples)
        lengths = batches.examples.lengths
        for rows in batches.rows():
            batch = batches.batch(rows)
            values = self._call({name: batch[name] for name in self._names}).numpy()
            for row, value in zip(rows, values, strict=False):
                # A copy: a view would keep the padding in memory.
                kept = value[: lengths[row]].copy() if self._per_token else value
                outputs[row] = kept.astype("float32", copy=False)
            if advance:
                advance(len(rows))
        return outputs if self._per_token else np.stack(outputs)
