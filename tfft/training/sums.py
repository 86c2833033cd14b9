"""Sums of losses, weights and gradients: what adds up over pieces and replicas.

A mean of means is no mean: pieces and replicas hold different numbers of tokens, so
only sums are added, and divided once at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

Objective = Callable[[Any, Mapping[str, Any]], tuple[Any, Any]]
Batch = Mapping[str, Any]


def gradient_sums(
    call: Callable[[Batch], Any],
    objective: Objective,
    variables: Sequence[Any],
    batch: Batch,
    scale: Any = 1.0,
) -> tuple[Any, Any, list[Any]]:
    """Returns the sum of losses, the sum of weights and the gradient of the first.

    The gradient is taken with respect to the given variables alone, so none of a
    frozen kernel is ever formed.

    Args:
        call: Maps a batch dict to the outputs of the network.
        objective: Maps outputs and batch dict to both sums.
        variables: TensorFlow variables.
        batch: The rows.
        scale: Factor of the loss before differentiation, which gradients carry.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        loss_sum, weight_sum = objective(call(batch), batch)
        scaled = loss_sum * tf.cast(scale, loss_sum.dtype)
    # An embedding's gradient comes as one row a token. The norm of those rows is
    # not the norm of their sums, which repeated tokens need.
    gradients = [
        tf.convert_to_tensor(gradient)
        for gradient in tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    ]
    return loss_sum, weight_sum, gradients


def in_pieces(
    sums: Callable[[Batch], tuple[Any, Any, list[Any]]], batch: Batch, pieces: int
) -> tuple[Any, Any, list[Any]]:
    """Returns the sums of a batch, computed for one piece of its rows after another.

    Only one piece's activations are in memory at a time.

    Args:
        sums: Returns the sums of a batch dict.
        batch: Tensors whose first axis is the rows; their number is a multiple of
            `pieces`.
        pieces: How many.
    """
    stacked = {name: _stacked(value, pieces) for name, value in batch.items()}

    def piece(index: Any) -> list[Any]:
        part = {name: value[index] for name, value in stacked.items()}
        loss, weight, gradients = sums(part)
        return [loss, weight, *gradients]

    def add(index: Any, totals: list[Any]) -> tuple[Any, list[Any]]:
        more = piece(index)
        return index + 1, [a + b for a, b in zip(totals, more, strict=True)]

    _, (loss, weight, *gradients) = tf.while_loop(
        lambda index, _: index < pieces,
        add,
        (tf.constant(1), piece(0)),
        parallel_iterations=1,
    )
    return loss, weight, gradients


def _stacked(value: Any, pieces: int) -> Any:
    value = tf.convert_to_tensor(value)
    rows = tf.shape(value)[0] // pieces
    return tf.reshape(value, tf.concat([[pieces, rows], tf.shape(value)[1:]], 0))


def sum_over_replicas(values: Sequence[Any]) -> list[Any]:
    """Returns each value added up over the replicas; call it on every replica."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(values)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))


def only_on_first_replica(values: Sequence[Any]) -> list[Any]:
    """Returns the values on the first replica and zeros on the others.

    Keras' optimizers add gradients up over the replicas; for gradients that are
    summed already, this makes that sum exact.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(values)
    first = tf.equal(context.replica_id_in_sync_group, 0)
    return [tf.where(first, value, tf.zeros_like(value)) for value in values]
