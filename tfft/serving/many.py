"""One model with several adapters and heads; each row chooses one by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfft.tasks.endpoint import TEXTS, Endpoint, Endpoints, InGraph, called


class Selection:
    """Holds the adapter number of each row while a batch is traced."""

    rows: Any = None

    def __call__(self) -> Any:
        """Returns the numbers, shape (batch,)."""
        return self.rows


class ManyHeads(keras.layers.Layer):
    """Runs a backbone with several adapters once, then the head of each row.

    Args:
        summary: Maps the inputs of the backbone to a vector for each row.
        kernels: The kernel of each head, shape (hidden, its outputs).
        biases: The bias of each head, shape (its outputs,).
        selection: Set to the adapter of each row before the backbone runs.
    """

    def __init__(
        self,
        summary: Any,
        kernels: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        selection: Selection,
    ) -> None:
        super().__init__()
        self.summary, self.selection = summary, selection
        self.sizes = tuple(len(bias) for bias in biases)
        widest = max(self.sizes)
        kernel = np.stack([_widened(one, widest) for one in kernels])
        bias = np.stack([_widened(one, widest) for one in biases])
        options = {"initializer": "zeros", "trainable": False}
        self.kernels = self.add_weight(name="kernels", shape=kernel.shape, **options)
        self.biases = self.add_weight(name="biases", shape=bias.shape, **options)
        self.kernels.assign(kernel)
        self.biases.assign(bias)
        self.built = True

    def embed(self, batch: dict[str, Any], rows: Any) -> Any:
        """Returns the summary of each row, shape (batch, hidden)."""
        self.selection.rows = rows
        return called(self.summary, batch)

    def call(self, batch: dict[str, Any], rows: Any) -> Any:
        """Returns logits; those beyond the head's own outputs are 0."""
        summary = self.embed(batch, rows)
        kernel = tf.gather(tf.convert_to_tensor(self.kernels.value), rows)
        bias = tf.gather(tf.convert_to_tensor(self.biases.value), rows)
        return tf.einsum("bh,bho->bo", summary, kernel) + bias


def _widened(values: np.ndarray, width: int) -> np.ndarray:
    missing = [(0, 0)] * (values.ndim - 1) + [(0, width - values.shape[-1])]
    return np.pad(values, missing)


def endpoints(
    model: ManyHeads,
    tokenizer: InGraph,
    columns: int,
    names: Sequence[str],
    answers: Sequence[Callable[[Any], dict[str, Any]]],
) -> Endpoints:
    """Returns the endpoints of several adapters.

    Args:
        model: Backbone, adapters and heads.
        tokenizer: The tokenizer in the graph.
        columns: One or two columns of texts.
        names: The names of the adapters.
        answers: For each adapter, a function from its logits to named tensors.
    """
    inputs = dict.fromkeys(("text", "text_pair")[:columns], TEXTS) | {"adapter": TEXTS}

    def answer(*given: Any) -> dict[str, Any]:
        *texts, adapter = given
        rows = rows_of(adapter, names)
        logits = model(tokenizer(*texts), rows)
        every = [
            one(logits[:, :size])
            for one, size in zip(answers, model.sizes, strict=True)
        ]
        return {name: _chosen([one[name] for one in every], rows) for name in every[0]}

    def embed(*given: Any) -> dict[str, Any]:
        *texts, adapter = given
        rows = rows_of(adapter, names)
        return {"embedding": model.embed(tokenizer(*texts), rows)}

    return {
        "serving_default": Endpoint(inputs, answer),
        "embed": Endpoint(inputs, embed),
    }


def rows_of(adapter: Any, names: Sequence[str]) -> Any:
    """Returns the number of each row's adapter; an unknown name is an error."""
    same = adapter[:, None] == tf.constant(list(names))[None]
    unknown = tf.boolean_mask(adapter, ~tf.reduce_any(same, axis=1))
    known = tf.debugging.Assert(
        tf.size(unknown) == 0,
        ["unknown adapter, the model has " + ", ".join(names) + ":", unknown],
    )
    with tf.control_dependencies([known]):
        return tf.argmax(tf.cast(same, tf.int32), axis=1)


def _chosen(values: Sequence[Any], rows: Any) -> Any:
    """Returns the outputs of each row's own adapter, padded to the widest."""
    if values[0].shape.rank == 2:
        widest = max(one.shape[1] for one in values)
        values = [tf.pad(one, [[0, 0], [0, widest - one.shape[1]]]) for one in values]
    return tf.gather(tf.stack(values, axis=1), rows, batch_dims=1)
