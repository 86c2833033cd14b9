"""Fine-tune on four fifths of SQuAD 1.1's development articles, test on the rest.

    python tools/bench_qa.py squaddev_v1.1.json --model MODEL --output_dir OUT

The file is that of SQuAD 1.1 (CC BY-SA 4.0); the PyPI source package bigbench 1.0.0
holds it in bigbench/benchmark_tasks/squad_shifts.
"""

import argparse
import json
import random
import time
from pathlib import Path

import tfft
from tfft.data.sources import read
from tfft.data.table import Table

METHODS = {
    "full": (tfft.Full(), 2e-4),
    "lora": (tfft.LoRA(rank=16, alpha=32, target="all-linear"), 1e-3),
}


def split_by_article(table: Table, seed: int = 0) -> dict[str, Table]:
    """Splits questions so that no article is on both sides."""
    titles = sorted(set(table.column("title")))
    random.Random(seed).shuffle(titles)
    held_out = set(titles[: round(0.2 * len(titles))])
    rows = range(len(table))
    column = table.column("title")
    return {
        "train": table.select([row for row in rows if column[row] not in held_out]),
        "test": table.select([row for row in rows if column[row] in held_out]),
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
    parser.add_argument("--resume", action="store_true", help="go on after a stop")
    arguments = parser.parse_args()
    method, learning_rate = METHODS[arguments.method]
    begin = time.monotonic()
    run = tfft.finetune(
        model=arguments.model,
        data=split_by_article(read(arguments.file)["train"]),
        task=tfft.QuestionAnswering(max_length=256, stride=64),
        method=method,
        output_dir=arguments.output_dir,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate or learning_rate,
        validation=0,
        overwrite=not arguments.resume,
        resume=arguments.resume,
    )
    lines = (arguments.output_dir / "metrics.jsonl").read_text().splitlines()
    figures = {
        "seconds": round(time.monotonic() - begin, 1),
        "seconds_by_epoch": [json.loads(line)["seconds"] for line in lines],
    }
    print(json.dumps({**figures, **run.metrics}, indent=2))


if __name__ == "__main__":
    main()
