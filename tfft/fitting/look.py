"""A method's look at the training batches, before training starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfft.data.batching import Batches
from tfft.methods.method import Method
from tfft.runs.build import Built


def look(
    method: Method,
    built: Built,
    objective: Callable[[Any, Any], tuple[Any, Any]],
    batches: Batches,
) -> None:
    """Lets a method choose by the gradients of the pretrained model.

    Args:
        method: What was applied.
        built: The network, not trained yet.
        objective: Maps outputs and batch to the sums of losses and weights.
        batches: The training rows.
    """
    import tensorflow as tf

    network = built.network

    def gradients(batch: Mapping[str, Any], variables: list[Any]) -> list[Any]:
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            outputs = network({name: batch[name] for name in network.input})
            loss_sum, weight_sum = objective(outputs, batch)
            loss = tf.math.divide_no_nan(loss_sum, weight_sum)
        return tape.gradient(loss, values)

    method.look(built.adapter, gradients, batches.dataset(0))
