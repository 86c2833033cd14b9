"""Measures the seconds to an import, to a command's help and to the first step."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench_peers.peer import finish, parser

_TIMES = 3


def measure(peer: str, packages: str, help_arguments: Sequence[str] = ()) -> None:
    """Prints the figures of a peer.

    Args:
        peer: Its name.
        packages: The packages that its users import.
        help_arguments: The interpreter's arguments for the command's help; empty for a
            peer without a command.
    """
    options = parser().parse_args()
    figures = {"import_seconds": _seconds(["-c", f"import {packages}"])}
    if help_arguments:
        figures["help_seconds"] = _seconds(help_arguments)
    script = Path(__file__).parent / "jobs" / f"classify_{peer}.py"
    arguments = [f"--assets={options.assets}", f"--rows={options.rows}", "--epochs=1"]
    start = time.time()
    done = _run([str(script), *arguments, f"--precision={options.precision}"])
    found = json.loads(done.splitlines()[-1])
    figures["first_step_seconds"] = found["figures"]["first_step_at"] - start
    finish(
        work=found["work"],
        figures=figures,
        quality=found["quality"],
        settings={**found["settings"], "imported": packages},
    )


def _seconds(arguments: Sequence[str]) -> float:
    """Returns the median over a few processes, after one that fills the caches."""
    times = []
    for _ in range(1 + _TIMES):
        start = time.perf_counter()
        _run(arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _run(arguments: Sequence[str]) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
