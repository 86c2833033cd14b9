"""Any number of replicas, workers and pieces ends with the same weights."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfft.cli.cluster import launch
from tfft.core.errors import ConfigError
from tfft.training.distribution import choose_strategy, replica_range, worker

PROGRAM = Path(__file__).with_name("replicas.py")
# A process has one number of logical CPUs.
PROCESSES = [["none/1", "none/4"], ["mirrored:2/1", "mirrored:2/2"], ["mirrored:4/1"]]
RUNS = [run for runs in PROCESSES for run in runs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replicas")


@pytest.fixture(scope="module")
def alone(folder):
    """The weights of each run on this machine's one process."""
    for runs in PROCESSES:
        arguments = [sys.executable, str(PROGRAM), str(folder), *runs]
        subprocess.run(arguments, check=True, timeout=600)
    return {run: np.load(folder / f"{run.replace('/', '-')}.npy") for run in RUNS}


@pytest.mark.parametrize("run", RUNS[1:])
def test_pieces_and_replicas_add_up_to_the_whole_batch(run, alone):
    # 1e-6: Adam's steps are of 1e-2, and float32 sums in another order.
    np.testing.assert_allclose(alone[run], alone["none/1"], rtol=0, atol=1e-6)
    assert np.abs(alone["none/1"]).max() > 0.01


def test_two_workers_train_like_one(alone, folder):
    command = [sys.executable, str(PROGRAM), str(folder), "multi_worker/1"]
    assert launch(command, 2) == 0
    found = np.load(folder / "multi_worker-1.npy")
    np.testing.assert_allclose(found, alone["none/1"], rtol=0, atol=1e-6)


def test_without_a_strategy_there_is_one_worker_with_one_replica():
    strategy = choose_strategy(None)
    assert worker(strategy) == (0, 1)
    assert replica_range(strategy) == range(1)


def test_a_strategy_object_is_taken_as_it_is():
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    assert choose_strategy(strategy) is strategy


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("mirored", "strategy='mirored'.*one of: mirrored, mirrored:N, multi_worker"),
        ("mirrored:x", "mirrored:x.*a number of replicas after the colon"),
        ("mirrored:0", "mirrored:0.*a number of replicas after the colon"),
        ("mirrored:3", "after TensorFlow has started.*new process"),
        ("multi_worker", "without TF_CONFIG.*tfft launch --workers N"),
        ("tpu", "no TPU was found.*TPU_NAME"),
    ],
)
def test_what_is_no_strategy_here_is_told(strategy, message, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    tf.constant(0)  # TensorFlow has started
    with pytest.raises(ConfigError, match=message):
        choose_strategy(strategy)


def test_the_workers_get_the_addresses_and_their_numbers(tmp_path):
    program = (
        "import os, sys, pathlib; c = os.environ['TF_CONFIG']; import json;"
        "i = json.loads(c)['task']['index'];"
        f"pathlib.Path({str(tmp_path)!r}, str(i)).write_text(c)"
    )
    assert launch([sys.executable, "-c", program], 3) == 0
    found = [json.loads((tmp_path / str(i)).read_text()) for i in range(3)]
    assert [one["task"] for one in found] == [
        {"type": "worker", "index": index} for index in range(3)
    ]
    addresses = found[0]["cluster"]["worker"]
    assert len(set(addresses)) == 3
    assert all(one["cluster"]["worker"] == addresses for one in found)


def test_an_error_says_more_than_what_it_did_to_the_others():
    program = "import json, os, sys; i = json.loads(os.environ['TF_CONFIG'])['task']"
    for codes, expected in (([75, 65], 65), ([75, 137], 75), ([0, 143], 143)):
        ends = f"{program}; c = {codes}[i['index']]"
        ends += "; os.kill(os.getpid(), c - 128) if c > 128 else sys.exit(c)"
        assert launch([sys.executable, "-c", ends], 2) == expected


@pytest.mark.parametrize(
    ("program", "code"),
    [("import sys; sys.exit(65)", 65), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_a_worker_that_fails_gives_its_exit_code(program, code, capfd):
    assert launch([sys.executable, "-c", program], 2) == code
    assert f"a worker ended with exit code {code}" in capfd.readouterr().err
