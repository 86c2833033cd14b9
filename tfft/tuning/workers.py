"""KerasTuner's chief and workers: roles, heartbeats and dead workers."""

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
    """Returns the role of this process from KerasTuner's environment variables.

    Raises:
        ConfigError: When only some of them are set.
    """
    missing = [name for name in (_ID, _ADDRESS, _PORT) if name not in os.environ]
    if len(missing) == 3:
        return "alone"
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not set",
            where="environment",
            expected=f"{_ID}, {_ADDRESS} and {_PORT}, or none of them",
            fix="set all of them for the chief and for every worker",
        )
    return "chief" if "chief" in os.environ[_ID] else "worker"


def name() -> str:
    """Returns the name of this process in the search."""
    return os.environ.get(_ID, "")


def heartbeats_in(folder: Path) -> list[Path]:
    """Returns the heartbeat files of workers."""
    return list(folder.glob(f"*{_SUFFIX}"))


@contextlib.contextmanager
def heartbeat(folder: Path) -> Iterator[None]:
    """Touches this worker's heartbeat file every two seconds while the block runs."""
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
def reclaiming(oracle: Any, folder: Path, timeout: float) -> Iterator[None]:
    """Takes back the trials of dead workers while the block runs.

    KerasTuner's chief would wait for them forever. The next worker that asks gets such
    a trial; if no worker asks, the trial is lost.

    Args:
        oracle: The oracle of the chief.
        folder: The folder of the heartbeat files.
        timeout: Seconds without a heartbeat after which a worker counts as dead.
    """
    stop = threading.Event()
    seen: dict[str, float] = {}

    def look() -> None:
        while not stop.wait(_EVERY):
            for worker in list(oracle.tuner_ids):
                if not _is_alive(folder, worker, timeout, seen):
                    _reclaim(oracle, worker)

    thread = threading.Thread(target=look, daemon=True, name="tfft-reclaiming")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _is_alive(
    folder: Path, worker: str, timeout: float, seen: dict[str, float]
) -> bool:
    """Returns whether a worker is alive; a new one has the full timeout."""
    path = folder / f"{worker}{_SUFFIX}"
    since = seen.setdefault(worker, time.time())
    with contextlib.suppress(FileNotFoundError):
        since = max(since, path.stat().st_mtime)
    return time.time() - since < timeout


def _reclaim(oracle: Any, worker: str) -> None:
    trial = oracle.ongoing_trials.get(worker)
    if trial is not None:
        trial.status, trial.message = "INVALID", f"worker {worker} has died"
        oracle.end_trial(trial)
    oracle.tuner_ids.discard(worker)
