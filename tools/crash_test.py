"""Kills trainings at random moments and checks that each still ends with equal results.

A tiny BERT is trained with dropout, shuffling, accumulation and early stopping. The
first training is not disturbed. The others are killed by SIGKILL, some while writing a
checkpoint, then resumed, killed again, and finally left to finish. Every weight and
every logged value must equal the first training's bit for bit, and a kill may lose no
more than the steps since the last checkpoint.

    python tools/crash_test.py --kills 40
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fixtures.bert import write_bert
from tests.fixtures.rows import review_rows

KILLS_PER_RUN = 5
SAVE_EVERY = 3


def train(model: Path, output: Path, rows: list[dict]) -> None:
    """Trains, or resumes training, in this process."""
    import tfft

    tfft.finetune(
        model=model,
        data=rows,
        output_dir=output,
        method={"name": "lora", "rank": 2, "dropout": 0.1},
        epochs=8,
        batch_size=8,
        accumulation=2,
        learning_rate=5e-3,
        early_stopping=3,
        save_every=SAVE_EVERY,
        test=0,
        precision="float32",
        resume=True,
        verbose=0,
    )


def fork(model: Path, output: Path, rows: list[dict]) -> int:
    """Starts a training in a child process; the parent has imported everything."""
    child = os.fork()
    if child:
        return child
    code = 1
    with contextlib.suppress(BaseException):
        train(model, output, rows)
        code = 0
    os._exit(code)


def is_writing(output: Path) -> bool:
    """Returns whether a checkpoint is being written."""
    folder = output / "checkpoints"
    with contextlib.suppress(OSError):
        return any(one.name.startswith(".tmp-") for one in folder.iterdir())
    return False


def steps_kept(output: Path) -> int:
    """Returns the step of the last complete checkpoint, 0 without one."""
    from tfft.checkpoints.training_state import Checkpoints

    found, _ = Checkpoints(output).latest()
    return found.step if found else 0


def kill(child: int, output: Path, chance: random.Random, longest: float) -> str:
    """Kills a training at a random moment; returns which kind of moment."""
    begun = time.monotonic()
    in_a_save = chance.random() < 0.4
    moment = chance.uniform(0.05, 0.9) * longest
    while True:
        if os.waitpid(child, os.WNOHANG)[0]:
            return "after the end"
        late = time.monotonic() - begun > moment
        if late and (not in_a_save or is_writing(output)):
            break
        time.sleep(0.0002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "in a save" if in_a_save else "at any moment"


def outcome(output: Path) -> dict:
    """Returns everything that a training leaves, except times."""
    from tfft.models.weights import read_tensors

    files = [output / "adapter/adapter_model.safetensors", output / "head.safetensors"]
    weights = {
        f"{file.name}/{name}": value.tobytes()
        for file in files
        for name, value in read_tensors(file).items()
    }
    lines = (output / "metrics.jsonl").read_text().splitlines()
    metrics = [{**json.loads(line), "seconds": 0} for line in lines]
    record = json.loads((output / "run.json").read_text())
    return {
        "weights": weights,
        "metrics": metrics,
        "status": record["status"],
        "best": record["best_epoch"],
    }


def main() -> int:
    """Runs the check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)

    # Imported before forking but not used: TensorFlow's threads start on first use.
    import keras_hub  # noqa: F401

    import tfft.recipes.finetune  # noqa: F401

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, rows = write_bert(folder / "model"), review_rows(90)
        begun = time.monotonic()
        child = fork(model, folder / "whole", rows)
        if os.waitpid(child, 0)[1]:
            print("the undisturbed training failed")
            return 1
        longest = time.monotonic() - begun
        whole = outcome(folder / "whole")
        print(f"undisturbed: {len(whole['metrics'])} epochs in {longest:.1f} s")
        done, good, lost = 0, 0, 0
        kinds: dict[str, int] = {}
        number = 0
        while done < arguments.kills:
            number += 1
            output = folder / f"run-{number}"
            for _ in range(min(KILLS_PER_RUN, arguments.kills - done)):
                before = steps_kept(output)
                child = fork(model, output, rows)
                kind = kill(child, output, chance, longest)
                if kind == "after the end":
                    break
                done += 1
                kinds[kind] = kinds.get(kind, 0) + 1
                lost += steps_kept(output) < before
            if os.waitpid(fork(model, output, rows), 0)[1]:
                print(f"run {number}: a resume failed")
                return 1
            same = outcome(output) == whole
            good += same
            print(
                f"run {number}: {done} kills so far, {'equal' if same else 'DIFFERENT'}"
            )
        print(
            f"{done} kills ({', '.join(f'{n} {k}' for k, n in sorted(kinds.items()))}) "
            f"in {number} runs: {good} of {number} ended equal bit for bit, "
            f"{lost} kills lost a checkpoint"
        )
        return 0 if good == number and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
