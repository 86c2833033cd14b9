"""Named entities with tfft."""

from __future__ import annotations

import tempfile

import tfft
from bench_peers.keras_clock import clock, parameters
from bench_peers.peer import Stopwatch, finish, parser, policy
from bench_peers.sentences import sentences
from tfft.data.table import Table


def main() -> None:
    """Trains the whole model; measures the last epoch."""
    added = parser()
    added.add_argument("--epochs", type=int, default=2)
    options = added.parse_args()
    train, test = sentences(options.assets, options.rows)
    task = tfft.TokenClassification(max_length=128, stride=32)
    folder = options.assets / "minilm"
    encoded = task.encode(
        Table.from_rows(train, "conll"), tfft.read_tokenizer(folder), None
    )
    watch = Stopwatch()
    callback = clock(watch)
    with tempfile.TemporaryDirectory() as output:
        run = tfft.finetune(
            model=folder,
            data={"train": train, "test": test},
            task=task,
            method="full",
            output_dir=f"{output}/run",
            epochs=options.epochs,
            batch_size=32,
            learning_rate=2e-4,
            schedule="linear",
            warmup=0.1,
            weight_decay=0.01,
            validation=0,
            precision=policy(options.precision),
            callbacks=(callback,),
            seed=options.seed,
            verbose=0,
        )
        scores = run.metrics["test"]
    tokens = int(encoded.examples.lengths.sum())
    finish(
        work={
            "rows": len(train),
            "tokens": tokens,
            "epochs": options.epochs,
            "steps": -(-len(encoded.examples) // 32),
            "trainable": parameters(run.model.trainable_variables),
            "precision": options.precision,
        },
        figures=watch.figures(rows=len(train), tokens=tokens),
        quality={"entity_f1": scores["f1"], "training_loss": callback.losses[-1]},
        settings={
            "method": "full",
            "batches": "32 sentences of like length, padded to the longest",
            "attention": "tfft's products",
            "numbers": policy(options.precision),
        },
    )


if __name__ == "__main__":
    main()
