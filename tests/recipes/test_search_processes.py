"""A search in processes of its own: stopped by Ctrl-C, and shared by workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfft

pytestmark = pytest.mark.slow

TRIALS = 8
SPACE = {"learning_rate": tfft.log_uniform(1e-3, 1e-1), "rank": [2, 4]}
OPTIONS = {"epochs": 20, "prune": False}


@pytest.fixture(scope="module")
def whole(search_options, tmp_path_factory):
    """The search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "search"
    options = {**search_options, **OPTIONS, "space": SPACE, "max_trials": TRIALS}
    return tfft.tune(output_dir=folder, **options)


@pytest.fixture
def command(search_options, tmp_path):
    options = {**search_options, **OPTIONS, "max_trials": TRIALS}
    options["output_dir"] = tmp_path / "search"
    options["space.learning_rate"] = "log_uniform(1e-3, 1e-1)"
    options["space.rank"] = "2, 4"
    words = [word for k, v in options.items() for word in (f"--{k}", str(v))]
    return [sys.executable, "-m", "tfft", "tune", *words]


def started(command, **environment):
    return subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(folder):
    return list((folder / "trials").glob("*/result.json"))


def wait_for(done, process, seconds=300):
    end = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def facts(trials):
    return [
        (one.name, dict(one.values), one.score, one.status, one.metrics, one.history)
        for one in trials
    ]


def found_in(folder: Path):
    """Returns the trials as they are written, and what was best."""
    from tfft.tuning.trials import read_trials

    return facts(read_trials(folder / "trials")), tfft.load(folder / "best").metrics


def test_a_search_stopped_by_ctrl_c_ends_as_one_that_was_not(command, whole, tmp_path):
    folder = tmp_path / "search"
    for count in (0, 3):  # in the first trial, and in the fourth
        process = started([*command, "--resume"] if count else command)
        begun = folder / "oracle" / f"trial_{count}" / "trial.json"
        wait_for(lambda begun=begun: begun.is_file(), process)
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        error = process.communicate(timeout=120)[1]
        assert process.returncode == 130, error
        assert error.splitlines()[-1].startswith("error: the search was stopped")
        assert len(results(folder)) == count
        assert not (folder / "best").exists()
    done = started([*command, "--resume"])
    error = done.communicate(timeout=300)[1]
    assert done.returncode == 0, error
    trials, metrics = found_in(folder)
    assert trials == facts(whole.trials)
    assert metrics == whole.best_run().metrics
    table = (folder / "trials.csv").read_text().splitlines()
    assert table[1].split(",")[0] == whole.best.name


def test_a_killed_worker_costs_its_trial_only(command, whole, tmp_path):
    """The chief hands the trial to the other worker: one table, the same scores."""
    folder = tmp_path / "search"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    command = [*command, "--worker_timeout", "10"]
    chief, *workers = (
        started(command, **address, KERASTUNER_TUNER_ID=name)
        for name in ("chief", "worker0", "worker1")
    )
    try:
        sign = folder / "oracle" / "worker1.alive"
        wait_for(lambda: sign.is_file() and len(results(folder)) >= 2, chief)
        workers[1].kill()
        ended = [one.communicate(timeout=300)[1] for one in (chief, workers[0])]
        assert [chief.returncode, workers[0].returncode] == [0, 0], ended
    finally:
        for process in (chief, *workers):
            process.kill()
            process.communicate()
    trials, metrics = found_in(folder)
    assert trials == facts(whole.trials)
    assert metrics == whole.best_run().metrics
    table = (folder / "trials.csv").read_text().splitlines()
    assert len(table) == 1 + TRIALS
    assert {"worker0"} <= {line.split(",")[-2] for line in table[1:]} <= {
        "worker0", "worker1"
    }  # fmt: skip
