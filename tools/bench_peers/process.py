"""Runs a peer's job in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TAIL = 30  # lines shown of a failed process's output


class JobFailedError(Exception):
    """A peer's process failed."""


def run_once(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Runs a command whose last line is JSON.

    Args:
        command: The interpreter, the script and its arguments.
        environment: Variables in addition to those of this process.

    Returns:
        The content of that line, with the seconds and largest memory of the process,
        and the load of the machine at its start.

    Raises:
        JobFailedError: When it fails or prints no JSON, with the end of its output.
    """
    load, start = os.getloadavg()[0], time.time()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, stdout=out, stderr=err, env={**os.environ, **environment}
        )
        # The usage of this process alone, not the maximum over all earlier ones.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.time() - start
        said, complaints = (_read(file) for file in (out, err))
    lines = said.splitlines()
    try:
        if process.returncode:
            raise ValueError(f"exit status {process.returncode}")
        found = json.loads(lines[-1] if lines else "")
    except ValueError as error:
        tail = "\n".join([*lines, *complaints.splitlines()][-_TAIL:])
        raise JobFailedError(f"{' '.join(command)}\n{error}\n{tail}") from error
    figures = found["figures"]
    if "first_step_at" in figures:
        figures["first_step_seconds"] = figures.pop("first_step_at") - start
    return {
        **found,
        "process_seconds": round(seconds, 2),
        "process_peak_gb": round(usage.ru_maxrss / 1e6, 3),
        "load_before": round(load, 2),
    }


def environment_of(peer: str, root: Path, cache: Path) -> dict[str, str]:
    """Returns a peer's environment variables."""
    paths = [str(root / "tools"), *([str(root)] if peer == "tfft" else [])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TOKENIZERS_PARALLELISM": "false",
        # Models and data are local folders: no hub is asked.
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache / "huggingface"),
    }


def _read(file: Any) -> str:
    file.seek(0)
    return file.read()
