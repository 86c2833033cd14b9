"""Text classification with tfft."""

from __future__ import annotations

import tempfile
from unittest import mock

import tfft
from bench_peers.keras_clock import clock, parameters
from bench_peers.mails import MAX_LENGTH, mails
from bench_peers.peer import Stopwatch, finish, parser, policy
from tfft.data.table import Table
from tfft.fitting import frozen

METHODS = {
    "lora": tfft.LoRA(rank=8, alpha=16, target="all-linear"),
    "head": tfft.Head(),
}


def main() -> None:
    """Trains; measures the last epoch and the whole training."""
    added = parser()
    added.add_argument("--method", choices=METHODS, default="lora")
    added.add_argument("--epochs", type=int, default=2)
    options = added.parse_args()
    train, test = mails(options.assets, options.rows)
    task = tfft.TextClassification(max_length=MAX_LENGTH, pooling="pooler")
    folder = options.assets / "minilm"
    tokenizer = tfft.read_tokenizer(folder)
    encoded = task.encode(Table.from_rows(train, "mails"), tokenizer, None)
    watch = Stopwatch()
    choose = frozen.choose_split

    def starting(*given: object) -> object:
        # The training includes computing the frozen layers.
        watch.start()
        return choose(*given)

    callback = clock(watch)
    with (
        tempfile.TemporaryDirectory() as output,
        mock.patch.object(frozen, "choose_split", starting),
    ):
        run = tfft.finetune(
            model=folder,
            data={"train": train, "test": test},
            task=task,
            method=METHODS[options.method],
            output_dir=f"{output}/run",
            backbone_dropout=0.0,
            epochs=options.epochs,
            batch_size=16,
            learning_rate=1e-3,
            schedule="constant",
            warmup=0.0,
            weight_decay=0.0,
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
            "steps": -(-len(train) // 16),
            "trainable": parameters(run.model.trainable_variables),
            "precision": options.precision,
        },
        figures=watch.figures(rows=len(train), tokens=tokens),
        quality={
            "macro_f1": scores["macro_f1"],
            "training_loss": callback.losses[-1],
        },
        settings={
            "method": options.method,
            "batches": "16 rows of like length, padded to the longest",
            "attention": "tfft's products",
            "numbers": policy(options.precision),
        },
    )


if __name__ == "__main__":
    main()
