"""Endpoints of networks that answer once for a text or a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfft.tasks.endpoint import (
    TEXTS,
    Endpoint,
    Endpoints,
    InGraph,
    called,
    ids_of,
)

# Of 256 tokens, as many as fit into a processor's cache between two layers.
_ROWS_AT_ONCE = 16


def _in_chunks(network: Any, batch: Mapping[str, Any]) -> Any:
    """Returns what a network answers for each row, in the order of the rows.

    A request may hold thousands of texts. They run in chunks, similar lengths
    together, each as long as its longest text: memory stays that of one chunk, and
    little is computed for padding.

    Args:
        network: A Keras model of one output, a row for each row, which the other rows
            and padding at the end do not change.
        batch: Arrays of shape (rows, length), `padding_mask` among them.

    Returns:
        Shape (rows, ...).
    """
    mask = batch["padding_mask"]
    places = tf.range(1, tf.shape(mask)[1] + 1)
    lengths = tf.reduce_max(tf.where(mask > 0, places, 1), axis=1)
    order = tf.argsort(lengths, stable=True)
    # With no rows, run one empty chunk so that the output has the right shape.
    chunks = tf.maximum(1, -(-tf.size(order) // _ROWS_AT_ONCE))

    def ask(chunk: Any, found: Any) -> tuple[Any, Any]:
        rows = order[chunk * _ROWS_AT_ONCE : (chunk + 1) * _ROWS_AT_ONCE]
        longest = tf.maximum(1, tf.reduce_max(tf.gather(lengths, rows)))
        part = {name: tf.gather(one, rows)[:, :longest] for name, one in batch.items()}
        return chunk + 1, found.write(chunk, called(network, part))

    output = network.output
    found = tf.TensorArray(
        output.dtype, chunks, infer_shape=False, element_shape=output.shape
    )
    _, found = tf.while_loop(
        lambda chunk, _: chunk < chunks, ask, (0, found), parallel_iterations=1
    )
    return tf.gather(found.concat(), tf.argsort(order))


def endpoints(
    network: Any,
    tokenizer: InGraph,
    columns: int,
    answer: Callable[[Any], dict[str, Any]],
) -> Endpoints:
    """Returns the endpoints of a network that answers once for a text or a pair.

    Args:
        network: A `TextClassifier`, or several that answer as one: those have a
            summary each, and no endpoint for it.
        tokenizer: The tokenizer in the graph.
        columns: One column of texts, or two.
        answer: Maps outputs to named tensors.
    """
    texts = dict.fromkeys(("text", "text_pair")[:columns], TEXTS)
    names = list(ids_of(network))
    found = {
        "serving_default": Endpoint(
            texts, lambda *given: answer(_in_chunks(network, tokenizer(*given)))
        ),
        "serving_tensors": Endpoint(
            ids_of(network),
            lambda *given: answer(network(dict(zip(names, given, strict=True)))),
        ),
    }
    if hasattr(network, "below_head"):
        summary = network.below_head()
        found["embed"] = Endpoint(
            texts, lambda *given: {"embedding": _in_chunks(summary, tokenizer(*given))}
        )
    return found
