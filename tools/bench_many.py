"""Times a batch that mixes eight adapters against one adapter's own export.

python tools/bench_many.py MODEL [--target all-linear] [--rounds 40]

MODEL is a Hugging Face folder such as all-MiniLM-L6 (tools/model.txt). The adapters
have random values, which take as long as trained ones. One process sends raw text to
both SavedModels in turn, and prints the medians and their ratio.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the tokenizer's operations)

import tfft
from tfft.data.sources import read

DATA = Path(__file__).parents[1] / "examples" / "data" / "spam"
ADAPTERS, BATCHES = 8, (8, 32)


def trained(model, target, folder):
    """Returns a run with LoRA of rank 8, trained for a step or two."""
    rows = read(DATA)["train"].select(range(32))
    return tfft.finetune(
        model=model,
        data=[
            {"text": text, "label": str(label)}
            for text, label in zip(
                rows.column("text"), rows.column("label"), strict=True
            )
        ],
        task={"name": "text_classification", "max_length": 128},
        method=tfft.LoRA(rank=8, target=target),
        output_dir=folder / "run",
        epochs=1,
        precision="float32",
        validation=0,
        test=0,
        verbose=0,
    )


def with_random_adapters(folder):
    """Yields the run several times, each time with another adapter."""
    for index in range(ADAPTERS):
        run = tfft.load(folder)
        random = np.random.default_rng(index)
        for variable in run.built.adapter.variables:
            variable.assign(random.normal(0, 0.02, variable.shape))
        yield f"adapter{index}", run


def seconds(calls, rounds):
    """Returns the median seconds of each call; the calls take turns."""
    times = {name: [] for name in calls}
    for number in range(rounds + 3):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number >= 3:  # earlier calls still allocate memory
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(one) for name, one in times.items()}


def main(argv=None):
    """Exports, measures and prints; exits with an error above a ratio of 1.3."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument(
        "--target", help="target of the adapters; LoRA's default if left out"
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--exported", type=Path, help="keep the exports there, or use")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.exported or Path(temporary)
        if not (folder / "many" / "1").exists():
            run = trained(arguments.model, arguments.target, folder)
            runs = dict(with_random_adapters(run.folder))
            tfft.export_many(runs, folder / "many")
            runs["adapter0"].export(folder / "one")
        one, many = (
            tf.saved_model.load(str(folder / name / "1")).signatures["serving_default"]
            for name in ("one", "many")
        )
        texts = [text[:400] for text in read(DATA)["test"].column("text")]
        worst = 0.0
        for size in BATCHES:
            given = tf.constant(texts[:size])
            names = tf.constant([f"adapter{row % ADAPTERS}" for row in range(size)])
            calls = {
                "one": lambda given=given: one(text=given),
                "mixed": lambda given=given, names=names: many(
                    text=given, adapter=names
                ),
            }
            found = seconds(calls, arguments.rounds)
            ratio = found["mixed"] / found["one"]
            worst = max(worst, ratio)
            print(
                f"batch of {size}: one adapter {1000 * found['one']:.1f} ms, "
                f"{ADAPTERS} mixed {1000 * found['mixed']:.1f} ms, {ratio:.2f} times",
                flush=True,
            )
    if worst > 1.3:
        raise SystemExit("a mixed batch takes more than 1.3 times as long")


if __name__ == "__main__":
    sys.exit(main())
