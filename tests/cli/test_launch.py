"""`tfft launch`: several processes train one run, and notice when one is gone."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from tfft.cli.main import main

ADAPTER = "adapter/adapter_model.safetensors"


@pytest.fixture(scope="module")
def options(bert_folder, make_rows, tmp_path_factory):
    rows = tmp_path_factory.mktemp("launch") / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in make_rows(60)))
    return [
        f"--model={bert_folder}", f"--data={rows}", "--backbone_dropout=0",
        "--task.dropout=0", "--precision=float32", "--batch_size=8", "--test=0",
        "--learning_rate=1e-2", "--early_stopping=0",
    ]  # fmt: skip


def tfft(*arguments):
    return [sys.executable, "-m", "tfft", *arguments]


def weights(folder):
    return load_file(folder / ADAPTER)


def assert_same(ours, theirs, atol):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=atol, err_msg=name)


def test_two_workers_write_the_run_that_one_would_have_written(options, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["finetune", *options, "--epochs=1", f"--output_dir={one}"]) == 0
    command = ["launch", "--workers=2", "finetune", *options, "--epochs=1"]
    subprocess.run(tfft(*command, f"--output_dir={two}"), check=True, timeout=300)
    # 1e-6: sums of float32 in another order, under Adam's steps of 1e-2.
    assert_same(weights(two), weights(one), atol=1e-6)
    records = [json.loads((run / "run.json").read_text()) for run in (one, two)]
    assert records[1]["status"] == "complete"
    for split, metrics in records[0]["metrics"].items():
        assert records[1]["metrics"][split] == pytest.approx(metrics, abs=1e-5)
    names = [sorted(path.name for path in run.iterdir()) for run in (one, two)]
    assert names[0] == names[1]


def worker_processes(parent):
    """Returns the process numbers of the workers."""
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


@pytest.mark.slow
def test_when_a_worker_is_killed_the_other_stops_and_a_relaunch_goes_on(
    options, tmp_path
):
    command = tfft("launch", "--workers=2", "finetune", *options, "--epochs=20")
    subprocess.run([*command, f"--output_dir={tmp_path / 'whole'}"], check=True)
    run = [*command, f"--output_dir={tmp_path / 'run'}"]
    process = subprocess.Popen(run, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "run").glob("checkpoints/step-*")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(worker_processes(process.pid)[1], signal.SIGKILL)
    killed = time.monotonic()
    _, error = process.communicate(timeout=120)
    assert time.monotonic() - killed < 60
    assert process.returncode == 75
    assert "error: another worker of this training has died" in error
    assert "start all workers again with resume" in error
    subprocess.run([*run, "--resume"], check=True)
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"), atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers=0", "finetune"], "error: --workers 0 · expected 1 or more"),
        (["--workers=2"], "error: tfft launch runs nothing · expected finetune"),
        (["--workers=2", "predict"], "error: tfft launch runs predict"),
        (["--workers=2", "finetune", "--epoch=2"], "unknown option --epoch"),
        (["--workers=x", "finetune"], "invalid int value: 'x'"),
        (["finetune"], "the following arguments are required: --workers"),
    ],
)
def test_what_cannot_be_launched_is_told_at_once(arguments, message, capsys):
    assert main(["launch", *arguments]) == 2
    assert message in capsys.readouterr().err
