"""Fine-tunes on four fifths of SQuAD 1.1's development articles and tests on the rest.

    python tools/bench_qa.py squaddev_v1.1.json --model MODEL --output_dir OUT

With --choosing, the test articles are left out and another fifth is scored instead, to
choose settings by. tools/bench_qa_torch.py does the same with transformers. The file is
that of SQuAD 1.1 (CC BY-SA 4.0); the PyPI source package bigbench 1.0.0 has it in
bigbench/benchmark_tasks/squad_shifts.
"""

import argparse
import json
from pathlib import Path

from bench_peers.articles import split_articles
from bench_peers.keras_clock import clock
from bench_peers.peer import Stopwatch

import tfft
from tfft.data.sources import read
from tfft.data.table import Table

METHODS = {
    "full": (tfft.Full(), 2e-4),
    "lora": (tfft.LoRA(rank=16, alpha=32, target="all-linear"), 1e-3),
}


def split_by_article(table: Table, *, choosing: bool) -> dict[str, Table]:
    """Splits the questions so that each article is on one side only."""
    column = table.column("title")
    parts = split_articles(column, choosing=choosing)
    return {
        name: table.select([row for row, title in enumerate(column) if title in titles])
        for name, titles in zip(("train", "test"), parts, strict=True)
    }


def main() -> None:
    """Trains once and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="SQuAD's JSON file")
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, default="full")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument(
        "--choosing", action="store_true", help="score a part of the training articles"
    )
    parser.add_argument(
        "--rows", type=int, help="train on this many of the first questions"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--resume", action="store_true", help="resume a stopped training"
    )
    arguments = parser.parse_args()
    method, learning_rate = METHODS[arguments.method]
    watch = Stopwatch()
    data = split_by_article(read(arguments.file)["train"], choosing=arguments.choosing)
    if arguments.rows is not None:
        data["train"] = data["train"].select(range(arguments.rows))
    run = tfft.finetune(
        model=arguments.model,
        data=data,
        task=tfft.QuestionAnswering(max_length=256, stride=64),
        method=method,
        output_dir=arguments.output_dir,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate or learning_rate,
        validation=0,
        seed=arguments.seed,
        callbacks=(clock(watch),),
        overwrite=not arguments.resume,
        resume=arguments.resume,
    )
    print(json.dumps({"seconds_by_epoch": watch.by_epoch(), **run.metrics}, indent=2))


if __name__ == "__main__":
    main()
