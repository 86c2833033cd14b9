"""Supervised fine-tuning of a language model with tfft."""

from __future__ import annotations

import tempfile

import tfft
from bench_peers.keras_clock import clock, parameters
from bench_peers.language import language_parser, language_rows, longest
from bench_peers.peer import Stopwatch, finish, policy
from tfft.data.table import Table


def main() -> None:
    """Trains for two epochs and measures the second."""
    added = language_parser()
    added.add_argument("--replicas", type=int, default=1)
    options = added.parse_args()
    train, held_out = language_rows(options)
    task = tfft.CausalLanguageModelling(max_length=longest(options))
    folder = options.assets / options.model
    examples = task.encode(
        Table.from_rows(train, "alpaca"), tfft.read_tokenizer(folder), ()
    ).examples
    # The same number of steps as with padded rows.
    steps = -(-options.rows // options.batch_size)
    size = -(-len(examples) // steps)
    watch = Stopwatch()
    callback = clock(watch)
    with tempfile.TemporaryDirectory() as output:
        run = tfft.finetune(
            model=folder,
            data={"train": train, "test": held_out},
            task=task,
            method=tfft.LoRA(rank=8, alpha=16),
            output_dir=f"{output}/run",
            epochs=2,
            batch_size=size,
            learning_rate=options.learning_rate,
            schedule="constant",
            warmup=0.0,
            weight_decay=0.0,
            validation=0,
            strategy=f"mirrored:{options.replicas}" if options.replicas > 1 else None,
            precision=policy(options.precision),
            callbacks=(callback,),
            seed=options.seed,
            verbose=0,
        )
        loss = run.metrics["test"]["loss"]
    labels = sum(map(len, examples.sequences["labels"]))
    tokens = int(examples.lengths.sum())
    finish(
        work={
            "rows": len(train),
            "tokens": tokens,
            "labels": labels,
            "steps": -(-len(examples) // size),
            "trainable": parameters(run.model.trainable_variables),
            "precision": options.precision,
        },
        figures=watch.figures(labels=labels, tokens=tokens),
        quality={"loss": loss, "training_loss": callback.losses[-1]},
        settings={
            "adapter": "LoRA, rank 8, on c_attn",
            "batches": f"packed best-fit, {size} packed rows in a step",
            "attention": "tfft's products, block-diagonal",
            "numbers": policy(options.precision),
        },
    )


if __name__ == "__main__":
    main()
