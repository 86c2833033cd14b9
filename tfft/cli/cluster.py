"""Starts processes on this machine that train together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from tfft.core.errors import LostWorkerError

_LOST = LostWorkerError.exit_code
_POLL_SECONDS = 0.2
# The time for a worker to notice that another one has died, and to report it.
_GRACE_SECONDS = 60.0


def launch(command: Sequence[str], workers: int) -> int:
    """Runs a command in several processes that find each other through TF_CONFIG.

    Shows the standard output of the first worker, and the errors of all.

    Args:
        command: The program and its arguments.
        workers: The number of processes.

    Returns:
        0 when all succeed. Else the exit code of an error, or 75 when a worker died:
        the others have a minute to stop by themselves.
    """
    addresses = [f"localhost:{port}" for port in _free_ports(workers)]
    processes = [_start(command, addresses, index) for index in range(workers)]
    with _forwarded_signals(processes):
        return _wait(processes)


def _start(
    command: Sequence[str], addresses: list[str], index: int
) -> subprocess.Popen:
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return subprocess.Popen(
        list(command),
        env={**os.environ, "TF_CONFIG": json.dumps(config)},
        stdin=subprocess.DEVNULL,
        stdout=None if index == 0 else subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(processes: list[subprocess.Popen]) -> int:
    """Waits for all processes and returns the common exit code."""
    deadline = float("inf")
    while any(process.poll() is None for process in processes):
        if deadline == float("inf") and _failures(processes):
            deadline = time.monotonic() + _GRACE_SECONDS
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(_POLL_SECONDS)
    failures = _failures(processes)
    if not failures:
        return 0
    code = _cause(failures)
    print(f"a worker ended with exit code {code}", file=sys.stderr)
    return code


def _failures(processes: list[subprocess.Popen]) -> list[int]:
    """Returns the exit codes of failed processes; for a signal, 128 plus its number."""
    codes = [one.returncode for one in processes if one.returncode]
    return [128 - code if code < 0 else code for code in codes]


def _cause(failures: list[int]) -> int:
    """Returns the most informative code: of an error, a dead worker, a signal."""
    errors = [code for code in failures if code < 128 and code != _LOST]
    return (errors or [code for code in failures if code == _LOST] or failures)[0]


@contextlib.contextmanager
def _forwarded_signals(processes: list[subprocess.Popen]) -> Iterator[None]:
    """Forwards SIGINT and SIGTERM to the processes."""

    def forward(number: int, frame: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
