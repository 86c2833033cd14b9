"""Sums of losses, weights and gradients over pieces and replicas.

The mean of means would be wrong, because pieces and replicas hold different numbers of
tokens. So only sums are added, and divided once at the end.
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
    """Returns the sum of losses, the sum of weights and the gradient of the losses.

    Differentiates only with respect to the given variables, so no gradient of a frozen
    kernel is ever computed.

    Args:
        call: Maps a batch dict to the outputs of the network.
        objective: Maps outputs and batch dict to both sums.
        variables: TensorFlow variables.
        batch: The rows.
        scale: Factor of the loss before differentiation; gradients include it.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        loss_sum, weight_sum = objective(call(batch), batch)
        scaled = loss_sum * tf.cast(scale, loss_sum.dtype)
    # An embedding's gradient has one row per token. The norm needs the sums of the rows
    # of repeated tokens, not the single rows.
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
    """Returns the sums of a batch, computed in pieces of its rows one after another.

    Only one piece's activations are in memory at a time.

    Args:
        sums: Returns the sums of a batch dict.
        batch: Tensors with rows as the first axis; the number of rows is a multiple of
            `pieces`.
        pieces: Number of pieces.
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
    """Returns each value summed over the replicas; call it on every replica."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(values)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))


def only_on_first_replica(values: Sequence[Any]) -> list[Any]:
    """Returns the values on the first replica and zeros on the others.

    Keras' optimizers sum gradients over the replicas. For gradients that are already
    summed, this makes that sum correct.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(values)
    first = tf.equal(context.replica_id_in_sync_group, 0)
    return [tf.where(first, value, tf.zeros_like(value)) for value in values]
