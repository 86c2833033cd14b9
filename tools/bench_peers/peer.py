"""Code that the scripts of all peers share; runs in each peer's environment."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import random
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PACKAGES = (
    "tfft",
    "tensorflow",
    "keras",
    "keras-hub",
    "torch",
    "transformers",
    "peft",
    "trl",
)
PRECISIONS = ("bfloat16", "float32")


def parser() -> argparse.ArgumentParser:
    """Returns the arguments that every script has."""
    made = argparse.ArgumentParser()
    made.add_argument("--assets", type=Path, required=True)
    made.add_argument("--rows", type=int, default=0)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    return made


def policy(precision: str) -> str:
    """Returns Keras' name for a precision."""
    return "mixed_bfloat16" if precision == "bfloat16" else precision


class Stopwatch:
    """Records when epochs and steps began and ended.

    The first epoch warms up: it includes tracing, compiling and filling caches.
    """

    def __init__(self) -> None:
        self._begins: list[tuple[float, float]] = []
        self._ends: list[tuple[float, float]] = []
        self._first_step = self._peak = self._start = 0.0

    def start(self) -> None:
        """Records that the training begins, before its first epoch."""
        self._start = self._start or time.perf_counter()

    def begin(self) -> None:
        """Records that an epoch begins."""
        self.start()
        self._begins.append(_now())
        self._ends.append(self._begins[-1])

    def step(self) -> None:
        """Records that a step has ended."""
        self._ends[-1] = _now()
        self._first_step = self._first_step or time.time()
        self._peak = peak_gb()

    def seconds(self, epoch: int = -1) -> float:
        """Returns the time of an epoch, up to the end of its last step."""
        return self._ends[epoch][0] - self._begins[epoch][0]

    def by_epoch(self) -> list[float]:
        """Returns the time of each epoch."""
        return [round(self.seconds(epoch), 1) for epoch in range(len(self._begins))]

    def figures(self, **counts: int) -> dict[str, float]:
        """Returns the figures of the last epoch, the first one and the whole training.

        Args:
            **counts: Totals of the epoch, such as `labels`, which becomes the figure
                `labels_per_second`.
        """
        begin, end = self._begins[-1], self._ends[-1]
        return {
            **{f"{name}_per_second": n / self.seconds() for name, n in counts.items()},
            "epoch_seconds": self.seconds(),
            # Other work on the machine disturbs it less than it does wall time.
            "epoch_processor_seconds": end[1] - begin[1],
            "first_epoch_seconds": self.seconds(0),
            "training_seconds": end[0] - self._start,
            "first_step_at": self._first_step,
            "peak_gb": self._peak,
        }


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def peak_gb() -> float:
    """Returns the largest memory of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a .jsonl file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def shuffled(count: int, seed: int) -> list[int]:
    """Returns the numbers below `count`, shuffled by the seed."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def chunks(order: Sequence[int], size: int) -> list[Sequence[int]]:
    """Returns an order in chunks; the last one may be shorter."""
    return [order[at : at + size] for at in range(0, len(order), size)]


def finish(
    *,
    work: dict[str, Any],
    figures: dict[str, float],
    quality: dict[str, float],
    settings: dict[str, Any],
) -> None:
    """Prints the line that a script ends with."""
    print(
        json.dumps(
            {
                "work": work,
                "figures": figures,
                "quality": quality,
                "settings": settings,
                "versions": _versions(),
            }
        )
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
