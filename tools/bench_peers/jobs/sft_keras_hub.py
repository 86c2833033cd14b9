"""Supervised fine-tuning of a language model with KerasHub and `fit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
import tokenizers

from bench_peers.keras_clock import clock, parameters
from bench_peers.language import language_parser, language_rows, longest
from bench_peers.peer import (
    Stopwatch,
    chunks,
    finish,
    policy,
    shuffled,
)

# KerasHub has an A for each head: the ranks with the closest number of parameters
# to rank 8 elsewhere.
RANKS = {"gpt2": 1, "smollm2": 2}
Row = tuple[list[int], int]


def main() -> None:
    """Trains for two epochs and measures the second."""
    options = language_parser().parse_args()
    rank = RANKS[options.model]
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(policy(options.precision))
    folder = options.assets / options.model
    train, held_out = (
        _encode(folder, rows, longest(options)) for rows in language_rows(options)
    )
    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    backbone.enable_lora(rank)
    logits = backbone.token_embedding(backbone.output, reverse=True)
    model = keras.Model(backbone.input, logits)
    model.compile(
        optimizer=keras.optimizers.AdamW(options.learning_rate, weight_decay=0.0),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        jit_compile=False,
    )
    watch = Stopwatch()
    callback = clock(watch)
    batches = chunks(shuffled(len(train), options.seed), options.batch_size)
    model.fit(
        _dataset(train, batches).repeat(),
        steps_per_epoch=len(batches),
        epochs=2,
        verbose=0,
        callbacks=[callback],
    )
    labels, tokens = _labels(train), sum(len(ids) for ids, _ in train)
    finish(
        work={
            "rows": len(train),
            "tokens": tokens,
            "labels": labels,
            "steps": len(batches),
            "trainable": parameters(model.trainable_variables),
            "precision": options.precision,
        },
        figures=watch.figures(labels=labels, tokens=tokens),
        quality={
            "loss": _loss(model, held_out, options.batch_size),
            "training_loss": callback.losses[-1],
        },
        settings={
            "adapter": f"enable_lora({rank}): query and value",
            "batches": f"{options.batch_size} rows, padded to the longest of them",
            "attention": "KerasHub's",
            "numbers": policy(options.precision),
            "tokenizer": "tokenizers, before the training",
        },
    )


def _encode(folder: Path, rows: list[dict[str, str]], max_length: int) -> list[Row]:
    """Returns the ids of each row, and the number of ids in its prompt."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = json.loads((folder / "config.json").read_text())["eos_token_id"]
    encoded = []
    for row in rows:
        prompt, completion = (
            tokenizer.encode(row[name], add_special_tokens=False).ids
            for name in ("prompt", "completion")
        )
        ids = [*prompt, *completion, end][:max_length]
        encoded.append((ids, min(len(prompt), len(ids))))
    return encoded


def _labels(rows: list[Row]) -> int:
    return sum(len(ids) - prompt for ids, prompt in rows)


def _dataset(rows: list[Row], batches: list[Any]) -> tf.data.Dataset:
    """Returns batches padded to their longest row."""
    kinds = tf.TensorSpec((None, None), tf.int32)
    inputs = {"token_ids": kinds, "padding_mask": kinds}
    return tf.data.Dataset.from_generator(
        lambda: (_padded([rows[row] for row in batch]) for batch in batches),
        output_signature=(inputs, kinds, tf.TensorSpec((None, None), tf.float32)),
    ).prefetch(tf.data.AUTOTUNE)


def _padded(rows: list[Row]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns the inputs, labels and weights of a batch."""
    shape = (len(rows), max(len(ids) for ids, _ in rows) - 1)
    ids, mask, labels = (np.zeros(shape, "int32") for _ in range(3))
    weights = np.zeros(shape, "float32")
    for at, (row, prompt) in enumerate(rows):
        last = len(row) - 1
        ids[at, :last], labels[at, :last], mask[at, :last] = row[:-1], row[1:], 1
        weights[at, prompt - 1 : last] = 1
    return {"token_ids": ids, "padding_mask": mask}, labels, weights


def _loss(model: keras.Model, rows: list[Row], size: int) -> float:
    """Returns the mean loss over the labels of some rows."""
    total = 0.0
    for batch in chunks(range(len(rows)), size):
        inputs, labels, weights = _padded([rows[row] for row in batch])
        losses = keras.losses.sparse_categorical_crossentropy(
            labels, model(inputs, training=False), from_logits=True
        )
        total += float(np.sum(np.asarray(losses, "float32") * weights))
    return total / _labels(rows)


if __name__ == "__main__":
    main()
