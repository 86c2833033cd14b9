"""A chief and its workers, in KerasTuner's own mode, and workers that are gone."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tfft.core.errors import ConfigError

_ID, _ADDRESS, _PORT = (
    "KERASTUNER_TUNER_ID",
    "KERASTUNER_ORACLE_IP",
    "KERASTUNER_ORACLE_PORT",
)
_SUFFIX, _EVERY = ".alive", 2.0

Role = Literal["alone", "chief", "worker"]


def role() -> Role:
    """Returns what this process is, by KerasTuner's environment variables.

    Raises:
        ConfigError: When some of them are set and others are not.
    """
    missing = [name for name in (_ID, _ADDRESS, _PORT) if name not in os.environ]
    if len(missing) == 3:
        return "alone"
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not set",
            where="environment",
            expected=f"{_ID}, {_ADDRESS} and {_PORT}, or none of them",
            fix="set it for the chief and for every worker",
        )
    return "chief" if "chief" in os.environ[_ID] else "worker"


def name() -> str:
    """Returns what this process is called."""
    return os.environ.get(_ID, "")


def signs_in(folder: Path) -> list[Path]:
    """Returns the files by which workers show that they live."""
    return list(folder.glob(f"*{_SUFFIX}"))


@contextlib.contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Shows that this worker lives, as long as the block runs."""
    path, stop = folder / f"{name()}{_SUFFIX}", threading.Event()
    folder.mkdir(parents=True, exist_ok=True)
    path.touch()

    def beat() -> None:
        while not stop.wait(_EVERY):
            path.touch()

    thread = threading.Thread(target=beat, daemon=True, name="tfft-alive")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def burying(oracle: Any, folder: Path, timeout: float) -> Iterator[None]:
    """Takes trials from workers that no longer live, as long as the block runs.

    KerasTuner's chief would wait for them for ever. The next worker that asks gets
    such a trial; without one, it is lost.

    Args:
        oracle: The chief's.
        folder: Where workers show that they live.
        timeout: Seconds without a sign after which a worker counts as gone.
    """
    stop = threading.Event()
    seen: dict[str, float] = {}

    def look() -> None:
        while not stop.wait(_EVERY):
            for worker in list(oracle.tuner_ids):
                if not _lives(folder, worker, timeout, seen):
                    _bury(oracle, worker)

    thread = threading.Thread(target=look, daemon=True, name="tfft-burying")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _lives(folder: Path, worker: str, timeout: float, seen: dict[str, float]) -> bool:
    """Tells whether a worker gave a sign lately; one just met has the full time."""
    path = folder / f"{worker}{_SUFFIX}"
    since = seen.setdefault(worker, time.time())
    with contextlib.suppress(FileNotFoundError):
        since = max(since, path.stat().st_mtime)
    return time.time() - since < timeout


def _bury(oracle: Any, worker: str) -> None:
    trial = oracle.ongoing_trials.get(worker)
    if trial is not None:
        trial.status, trial.message = "INVALID", f"worker {worker} is gone"
        oracle.end_trial(trial)
    oracle.tuner_ids.discard(worker)
