"""Text classification with KerasHub and `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
import tokenizers

from bench_peers.keras_clock import clock, parameters
from bench_peers.mails import LABELS, MAX_LENGTH, macro_f1, mails
from bench_peers.peer import Stopwatch, chunks, finish, parser, policy, shuffled

LINEAR = [
    "query",
    "key",
    "value",
    "attention_output",
    "feedforward_intermediate_dense",
    "feedforward_output_dense",
]
# KerasHub has an A for each head: the rank with the closest number of parameters
# to rank 8 elsewhere.
RANK = 3


def main() -> None:
    """Trains; measures the last epoch and the whole training."""
    added = parser()
    added.add_argument("--method", choices=("lora", "head"), default="lora")
    added.add_argument("--epochs", type=int, default=2)
    options = added.parse_args()
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(policy(options.precision))
    train, test = mails(options.assets, options.rows)
    folder = options.assets / "minilm"
    model = _model(folder, options.method)
    watch = Stopwatch()
    callback = clock(watch)
    encoded = _encode(folder, train)
    batches = chunks(shuffled(len(train), options.seed), 16)
    model.fit(
        _dataset(encoded, train, batches).repeat(),
        steps_per_epoch=len(batches),
        epochs=options.epochs,
        verbose=0,
        callbacks=[callback],
    )
    tokens = sum(map(len, encoded))
    finish(
        work={
            "rows": len(train),
            "tokens": tokens,
            "epochs": options.epochs,
            "steps": len(batches),
            "trainable": parameters(model.trainable_variables),
            "precision": options.precision,
        },
        figures=watch.figures(rows=len(train), tokens=tokens),
        quality={
            "macro_f1": macro_f1(_predict(model, _encode(folder, test)), test),
            "training_loss": callback.losses[-1],
        },
        settings={
            "method": f"enable_lora({RANK}), all linear layers"
            if options.method == "lora"
            else "head, backbone.trainable = False",
            "batches": "16 rows, padded to the longest",
            "attention": "Keras'",
            "numbers": policy(options.precision),
            "tokenizer": "tokenizers, before the training",
        },
    )


def _model(folder: Path, method: str) -> keras.Model:
    backbone = keras_hub.models.Backbone.from_preset(str(folder), dropout=0.0)
    if method == "lora":
        backbone.enable_lora(RANK, target_layer_names=LINEAR)
    else:
        backbone.trainable = False
    model = keras_hub.models.BertTextClassifier(backbone, num_classes=len(LABELS))
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-3, weight_decay=0.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def _encode(folder: Path, rows: list[dict]) -> list[list[int]]:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH)
    tokenizer.no_padding()
    return [one.ids for one in tokenizer.encode_batch([row["text"] for row in rows])]


def _dataset(encoded: list[list[int]], rows: list[dict], batches: Any) -> Any:
    """Returns batches padded to their longest row."""
    ids = tf.TensorSpec((None, None), tf.int32)
    names = ("token_ids", "padding_mask", "segment_ids")
    return tf.data.Dataset.from_generator(
        lambda: (
            (
                _padded([encoded[row] for row in batch]),
                np.array([LABELS.index(rows[row]["label"]) for row in batch], "int32"),
            )
            for batch in batches
        ),
        output_signature=(
            dict.fromkeys(names, ids),
            tf.TensorSpec((None,), tf.int32),
        ),
    ).prefetch(tf.data.AUTOTUNE)


def _padded(rows: list[list[int]]) -> dict[str, np.ndarray]:
    ids, mask, segments = np.zeros((3, len(rows), max(map(len, rows))), "int32")
    for at, row in enumerate(rows):
        ids[at, : len(row)], mask[at, : len(row)] = row, 1
    return {"token_ids": ids, "padding_mask": mask, "segment_ids": segments}


def _predict(model: keras.Model, encoded: list[list[int]]) -> np.ndarray:
    """Returns the number of the most likely label of each row."""
    found = [
        np.argmax(model(_padded([encoded[row] for row in batch]), training=False), -1)
        for batch in chunks(range(len(encoded)), 32)
    ]
    return np.concatenate(found)


if __name__ == "__main__":
    main()
