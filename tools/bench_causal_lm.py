"""Measures causal_lm: what packing gains, and its speed compared with KerasHub.

    python tools/bench_causal_lm.py packing --data alpaca.json --tokenizer smollm2
    python tools/bench_causal_lm.py speed --data alpaca.json --tokenizer gpt2 --rows 192

Each case runs in its own process, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Case = Callable[[argparse.Namespace], dict[str, Any]]
GPT2 = {
    "vocabulary_size": 50257,
    "num_layers": 12,
    "num_heads": 12,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
    "max_sequence_length": 1024,
    "dropout": 0.0,
}


def examples(options: argparse.Namespace, padding_free: bool) -> Any:
    """Returns the encoded rows of the data."""
    from tfft.data.table import Table
    from tfft.models.tokenizer_files import read_tokenizer
    from tfft.tasks.causal_lm import CausalLanguageModelling

    rows = json.loads(options.data.read_text())[: options.rows]
    table = Table.from_rows(rows, options.data.name)
    task = CausalLanguageModelling(
        max_length=options.max_length, padding_free=padding_free
    )
    tokenizer = read_tokenizer(options.tokenizer)
    bad = {one.row for one in task.unsuited_rows(table, tokenizer)}
    usable = table.select([row for row in range(len(table)) if row not in bad])
    return task.encode(usable, tokenizer, ()).examples


def gpt2(**changes: Any) -> Any:
    """Returns a GPT-2 of 124 M parameters with the same random weights each time."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    return keras_hub.models.GPT2Backbone(**{**GPT2, **changes})


def llama() -> Any:
    """Returns a small Llama with GPT-2's vocabulary."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    return keras_hub.models.LlamaBackbone(
        vocabulary_size=50257,
        num_layers=4,
        num_query_heads=4,
        num_key_value_heads=2,
        hidden_dim=64,
        intermediate_dim=128,
        tie_word_embeddings=True,
    )


def packed_equals_unpacked(options: argparse.Namespace) -> dict[str, Any]:
    """Compares the loss and gradients of packed rows with those of separate rows."""
    small = {"num_layers": 4, "num_heads": 4, "hidden_dim": 64, "intermediate_dim": 128}
    results = {}
    for name, backbone in (("gpt2", gpt2(**small)), ("llama", llama())):
        packed, alone = (
            loss_and_gradients(backbone, examples(options, together))
            for together in (True, False)
        )
        pairs = list(zip(packed[1], alone[1], strict=True))
        whole = np.linalg.norm([np.linalg.norm(one) for one in alone[1]])
        results[name] = {
            "loss": packed[0],
            "loss_relative": abs(packed[0] / alone[0] - 1),
            # The gradient of a key's bias is 0 plus rounding errors: left out.
            "gradient_relative": max(
                float(np.linalg.norm(a - b) / np.linalg.norm(b))
                for a, b in pairs
                if np.linalg.norm(b) > 1e-6 * whole
            ),
        }
    return results


def loss_and_gradients(backbone: Any, rows: Any) -> tuple[float, list[np.ndarray]]:
    """Returns the mean loss over all labels, and its gradient for each variable."""
    from tfft.data.batching import Batches
    from tfft.tasks.causal_lm import CausalLanguageModelling
    from tfft.tasks.networks.causal_lm import CausalLM
    from tfft.training.step import TrainingModel

    objective = CausalLanguageModelling().loss
    model = TrainingModel(CausalLM(backbone), objective)
    batches = Batches(rows, len(rows))
    loss, weight, gradients = model.sums(batches.batch(np.arange(len(rows))))
    count = float(weight)
    return float(loss) / count, [np.asarray(one) / count for one in gradients]


def peak_gb() -> float:
    """Returns the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def epoch_of_ours(options: argparse.Namespace) -> dict[str, Any]:
    """Trains all of a GPT-2 on packed rows, with labels on completions only."""
    from tfft.compute.precision import set_compute_policy
    from tfft.compute.speed import speed_up
    from tfft.data.batching import Batches
    from tfft.tasks.causal_lm import CausalLanguageModelling
    from tfft.tasks.networks.causal_lm import CausalLM
    from tfft.training.hardware import choose_precision
    from tfft.training.optimizer import make_optimizer
    from tfft.training.step import TrainingModel

    backbone = gpt2()
    # `finetune` prepares every model this way.
    speed_up(backbone)
    set_compute_policy(backbone, choose_precision("auto"))
    objective = CausalLanguageModelling().loss
    model = TrainingModel(CausalLM(backbone), objective, clip_norm=0)
    optimizer = make_optimizer(
        "adamw", model.trainable_variables, learning_rate=2e-5, weight_decay=0.004
    )
    model.compile(optimizer=optimizer, jit_compile=False)
    rows = examples(options, padding_free=True)
    labels = sum(map(len, rows.sequences["labels"]))
    # The same number of labels in a step as KerasHub.
    share = options.batch_size / sum(map(len, rows.sources))
    batches = Batches(rows, max(1, round(len(rows) * share)), 0)
    return timed(model, batches.dataset(), len(batches), labels)


def epoch_of_keras_hub(options: argparse.Namespace) -> dict[str, Any]:
    """Trains it on batches padded to their longest row, as KerasHub and `fit` do."""
    import keras
    import tensorflow as tf

    from tfft.training.hardware import choose_precision

    keras.config.set_dtype_policy(choose_precision("auto"))
    backbone = gpt2()
    logits = backbone.token_embedding(backbone.output, reverse=True)
    model = keras.Model(backbone.input, logits)
    model.compile(
        optimizer=keras.optimizers.AdamW(2e-5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    rows = examples(options, padding_free=False)
    size = options.batch_size
    order = np.random.default_rng(0).permutation(len(rows))
    chosen = [order[at : at + size] for at in range(0, len(order) - size + 1, size)]

    def generate() -> Any:
        while True:
            for batch in chosen:
                yield padded(rows, batch)

    kinds = tf.TensorSpec((size, None), tf.int32)
    floats = tf.TensorSpec((size, None), tf.float32)
    dataset = tf.data.Dataset.from_generator(
        generate,
        output_signature=(
            {"token_ids": kinds, "padding_mask": kinds},
            kinds,
            floats,
        ),
    ).prefetch(2)
    labels = sum(len(rows.sequences["labels"][i]) for batch in chosen for i in batch)
    return timed(model, dataset, len(chosen), labels)


def padded(rows: Any, batch: np.ndarray) -> tuple[dict[str, Any], Any, Any]:
    """Returns inputs, labels and weights, padded to the longest row."""
    lengths = rows.lengths[batch]
    shape = (len(batch), int(lengths.max()))
    ids, labels = np.zeros(shape, "int32"), np.zeros(shape, "int32")
    weights = np.zeros(shape, "float32")
    for at, row in enumerate(batch):
        ids[at, : lengths[at]] = rows.sequences["token_ids"][row]
        places = rows.sequences["label_positions"][row]
        labels[at, places] = rows.sequences["labels"][row]
        weights[at, places] = 1
    mask = (np.arange(shape[1]) < lengths[:, None]).astype("int32")
    return {"token_ids": ids, "padding_mask": mask}, labels, weights


def timed(model: Any, dataset: Any, steps: int, labels: int) -> dict[str, Any]:
    """Returns the labels per second of the second epoch; the first one warms up."""
    import keras

    times: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    history = model.fit(
        dataset, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=[clock]
    )
    # The first step includes tracing.
    seconds = (times[-1] - times[0]) * steps / (steps - 1)
    return {
        "labels_per_second": labels / seconds,
        "labels": labels,
        "steps": steps,
        "seconds": seconds,
        "loss": history.history["loss"][-1],
    }


CASES = {
    "packing": [packed_equals_unpacked],
    "speed": [epoch_of_ours, epoch_of_keras_hub],
}


def main(argv: list[str] | None = None) -> None:
    """Runs the cases of a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=CASES)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--max_length", type=int, default=512)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument(
        "--rounds", type=int, default=1, help="of all cases, taking turns"
    )
    parser.add_argument("--case", help="run only this case, in this process")
    options = parser.parse_args(argv)
    in_processes(CASES[options.what], options)


def in_processes(cases: Sequence[Case], options: argparse.Namespace) -> None:
    """Runs the cases in turn, each in its own process, and prints the results."""
    for case in cases:
        if options.case == case.__name__:
            print(json.dumps({"case": options.case, **case(options), "gb": peak_gb()}))
    if not options.case:
        for _ in range(options.rounds):
            for case in cases:
                command = [sys.executable, *sys.argv, "--case", case.__name__]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
