"""Starting TensorFlow hides the routine lines of its log, and nothing else.

A stand-in for TensorFlow writes the lines, so that each case takes milliseconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROUTINE = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to "
    "STDERR\n"
    "I0000 00:00:1796096457.219071   17572 port.cc:153] oneDNN custom operations are "
    "on. You may see slightly different numerical results.\n"
    "I0000 00:00:1796096457.219375   17572 cudart_stub.cc:31] Could not find cuda "
    "drivers on your machine, GPU will not be used.\n"
)
NO_DRIVER = (
    "E0000 00:00:1796096463.056246   17572 cuda_platform.cc:52] failed call to cuInit: "
    "INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)\n"
)
NO_GPU = NO_DRIVER.replace("UNKNOWN ERROR (303)", "CUDA_ERROR_NO_DEVICE: no device")
REAL = (
    "W0000 00:00:1796096463.056246   17572 gpu_device.cc:2433] Cannot dlopen some GPU "
    "libraries. Skipping registering GPU devices...\n",
    NO_DRIVER.replace("UNKNOWN ERROR (303)", "CUDA_ERROR_COMPAT_NOT_SUPPORTED (803)"),
    "F0000 00:00:1796096463.056246   17572 cpu_feature_guard.cc:44] no AVX\n",
    "somebody else's line\n",
)
STAND_IN = f"""
import contextlib, os
def log(text):
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
log({ROUTINE!r} + {"".join(REAL)!r})
class config:
    def list_physical_devices():
        log({NO_DRIVER + NO_GPU!r})
"""
START = "from tfft.core.start import start_tensorflow as start; start(); "


@pytest.fixture
def run(tmp_path):
    """Runs Python with a stand-in for TensorFlow and returns the process."""
    for name, code in (
        ("tensorflow", STAND_IN),
        ("tensorflow_text", f"import tensorflow; tensorflow.log({ROUTINE!r})"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)

    def run(code, level=None, **options):
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        if level is not None:
            environment["TF_CPP_MIN_LOG_LEVEL"] = level
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, text=True,
            capture_output=True, **options,
        )  # fmt: skip

    return run


def test_only_routine_lines_are_hidden(run):
    done = run(START + "import sys; print('mine', file=sys.stderr)")
    assert done.returncode == 0
    assert done.stderr == "".join(REAL) + "mine\n"


@pytest.mark.parametrize("level", [None, "1", "2", "3"])
def test_the_level_is_1_unless_the_user_sets_it(run, level):
    done = run(START + "import os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])", level)
    assert done.stdout.strip() == (level or "1")
    assert done.stderr == "".join(REAL)


def test_with_level_0_every_line_is_shown(run):
    shown = ROUTINE + "".join(REAL) + ROUTINE + NO_DRIVER + NO_GPU
    assert run(START, level="0").stderr == shown


def test_a_second_start_and_a_start_after_the_users_import_do_nothing(run):
    assert run(START + "start()").stderr == "".join(REAL)
    done = run(f"import tensorflow; {START} import os; print(dict(os.environ))")
    assert done.stderr == ROUTINE + "".join(REAL)
    assert "TF_CPP_MIN_LOG_LEVEL" not in done.stdout


def test_an_import_that_fails_raises_and_loses_no_line(run):
    code = "import sys; sys.modules['tensorflow_text'] = None; " + START
    done = run(code)
    assert done.returncode == 1
    assert done.stderr.startswith("".join(REAL) + "Traceback")
    assert "tensorflow_text" in done.stderr.splitlines()[-1]


def test_threads_that_start_at_once_leave_standard_error_open(run):
    code = (
        "import os, threading; from tfft.core.start import start_tensorflow as start\n"
        "threads = [threading.Thread(target=start) for _ in range(8)]\n"
        "for one in threads: one.start()\n"
        "for one in threads: one.join()\n"
        "os.write(2, b'open')\n"
    )
    assert run(code).stderr == "".join(REAL) + "open"


def test_a_program_without_standard_error_starts(run):
    done = run("import os; os.close(2); " + START + "print('started')")
    assert done.stdout == "started\n"
