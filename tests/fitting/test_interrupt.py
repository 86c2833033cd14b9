"""A training that is stopped loses no step, and says how it ended."""

from __future__ import annotations

import errno
import json
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tfft
from tfft.checkpoints.training_state import Checkpoints
from tfft.cli.main import main
from tfft.core.errors import ConfigError, DataError, InterruptedRunError, StorageError
from tfft.core.files import sha256
from tfft.core.signals import TerminationSignal
from tfft.fitting import finish
from tfft.training.step import TrainingModel

# Dropout in adapter, backbone and head: their random states must go on as well.
OPTIONS = {
    "method": {"name": "lora", "dropout": 0.1},
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "early_stopping": 0,
}
STEPS = 4  # of an epoch: 32 rows by 8


@pytest.fixture
def stop_at(monkeypatch):
    """Raises at a step of the training, once."""
    take = TrainingModel.train_step

    def plan(step, error):
        def raise_after(self, batch):
            logs = take(self, batch)
            if self.optimizer.iterations.numpy() == step:
                monkeypatch.setattr(TrainingModel, "train_step", take)
                raise error
            return logs

        monkeypatch.setattr(TrainingModel, "train_step", raise_after)

    return plan


@pytest.fixture(scope="module")
def whole(tune):
    """The same training, never interrupted."""
    return tune(**OPTIONS)


def weights(run):
    return {v.path.split("/", 1)[-1]: np.array(v) for v in run.model.trainable_weights}


def lines(folder):
    text = (folder / "metrics.jsonl").read_text()
    return [{**json.loads(line), "seconds": 0} for line in text.splitlines()]


@pytest.mark.parametrize("step", [2, STEPS + 2, 2 * STEPS])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(
    tune, whole, stop_at, tmp_path, step
):
    stop_at(step, KeyboardInterrupt())
    with pytest.raises(InterruptedRunError, match=r"stopped.*run.*resume"):
        tune(output_dir=tmp_path / "run", **OPTIONS)
    stopped = tfft.load(tmp_path / "run")
    assert stopped.record["status"] == "interrupted"
    assert len(stopped.predict(["good", "bad"])) == 2
    kept = sorted(one.name for one in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept[-1] == f"step-{step:08d}"
    resumed = tune(output_dir=tmp_path / "run", resume=True, **OPTIONS)
    assert resumed.record["status"] == "complete"
    assert resumed.metrics == whole.metrics
    assert resumed.record["best_epoch"] == whole.record["best_epoch"]
    assert lines(resumed.folder) == lines(whole.folder)
    for (_, one), (_, other) in zip(
        weights(resumed).items(), weights(whole).items(), strict=True
    ):
        assert np.array_equal(one, other)
    assert not (resumed.folder / "checkpoints").exists()


# A rate at which the loss soon gets worse, so that training ends before epoch 6.
WORSE = {"learning_rate": 5.0, "schedule": "constant", "warmup": 0, "epochs": 6}


@pytest.mark.parametrize(
    ("options", "error", "raised"),
    [
        (OPTIONS, KeyboardInterrupt(), InterruptedRunError),
        ({**WORSE, "early_stopping": 1}, StorageError("full"), StorageError),
    ],
)
def test_a_scoring_that_fails_loses_no_training(
    tune, monkeypatch, tmp_path, options, error, raised
):
    def stop(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(finish, "write_reports", stop)
        with pytest.raises(raised):
            tune(output_dir=tmp_path / "run", **options)
    loaded, before = tfft.load(tmp_path / "run"), lines(tmp_path / "run")
    resumed = tune(output_dir=tmp_path / "run", resume=True, **options)
    assert resumed.predict(["good a"]) == loaded.predict(["good a"])
    assert lines(resumed.folder) == before
    losses = [line["val_loss"] for line in before]
    assert resumed.record["best_epoch"] == np.argmin(losses) + 1
    assert resumed.metrics["validation"]["loss"] == pytest.approx(min(losses))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 2e-2}, "learning_rate was 0.01 and is 0.02"),
        ({"method": "lora"}, "method was .*'dropout': 0.1"),
        ({"epochs": 4}, "epochs was 3 and is 4"),
    ],
)
def test_resuming_with_another_option_is_refused(tune, whole, change, message):
    with pytest.raises(ConfigError, match=message):
        tune(output_dir=whole.folder, resume=True, **{**OPTIONS, **change})
    assert whole.record["status"] == "complete"


def test_resuming_a_complete_run_returns_it(tune, whole):
    before = (whole.folder / "metrics.jsonl").read_text()
    again = tune(output_dir=whole.folder, resume=True, **OPTIONS)
    assert (whole.folder / "metrics.jsonl").read_text() == before
    assert again.metrics == whole.metrics
    assert again.predict(["good a"]) == whole.predict(["good a"])


def test_resuming_with_other_rows_is_refused(tune, whole, make_rows):
    with pytest.raises(DataError, match="the rows are not those of the interrupted"):
        tune(output_dir=whole.folder, resume=True, data=make_rows(41), **OPTIONS)
    assert whole.record["status"] == "complete"


@pytest.fixture
def command(bert_folder, make_rows, tmp_path):
    rows = "".join(json.dumps(row) + "\n" for row in make_rows(40))
    (tmp_path / "rows.jsonl").write_text(rows)
    return [
        "finetune", f"--model={bert_folder}", f"--data={tmp_path / 'rows.jsonl'}",
        f"--output_dir={tmp_path / 'run'}", "--method=head", "--early_stopping=0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (TerminationSignal(), 143)]
)
def test_the_exit_code_tells_the_signal(command, stop_at, capsys, error, code):
    stop_at(3, error)
    assert main([*command, "--epochs=2"]) == code
    assert "error: training was stopped" in capsys.readouterr().err
    assert main([*command, "--epochs=2", "--resume"]) == 0


def test_a_terminated_process_leaves_a_run_that_loads(command, tmp_path):
    arguments = [sys.executable, "-m", "tfft", *command, "--epochs=100000"]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    with process:
        metrics = tmp_path / "run" / "metrics.jsonl"
        while process.poll() is None and not (
            metrics.exists() and lines(metrics.parent)
        ):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        error = process.stderr.read()
    assert process.returncode == 143
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("error: training was stopped")
    run = tfft.load(tmp_path / "run")
    assert run.record["status"] == "interrupted"
    assert len(run.predict(["good", "bad"])) == 2
    assert [path.name for path in run.folder.iterdir() if path.name[0] == "."] == []


def test_a_full_disk_is_told_and_the_run_can_be_resumed(
    command, monkeypatch, capsys, tmp_path
):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.numpy.save_file", full)
        assert main([*command, "--epochs=1"]) == 74
    error = capsys.readouterr().err
    assert f"cannot write: No space left on device · {tmp_path / 'run'}" in error
    assert "fix: free some space (" in error
    assert main([*command, "--epochs=1", "--resume"]) == 0
    run = tfft.load(tmp_path / "run")
    assert run.record["status"] == "complete"
    assert len(lines(run.folder)) == 1


def test_a_disk_that_fills_up_during_a_checkpoint_leaves_the_one_before(
    tune, whole, monkeypatch, tmp_path
):
    """A limit on the size of files is a full disk that needs no rights to set up."""
    save, limits = Checkpoints.save, resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = tmp_path / "run" / "checkpoints"

    def sums():
        return {path: sha256(path) for path in folder.rglob("*") if path.is_file()}

    before = {}

    def save_once(self, state, extra, facts):
        save(self, state, extra, facts)
        before.update(sums())
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))

    monkeypatch.setattr(Checkpoints, "save", save_once)
    try:
        with pytest.raises(StorageError, match=r"cannot write: File too large.*free"):
            tune(output_dir=tmp_path / "run", save_every=2, **OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    monkeypatch.undo()
    assert sums() == before
    assert [one.name for one in folder.iterdir()] == ["step-00000002"]
    resumed = tune(output_dir=tmp_path / "run", resume=True, **OPTIONS)
    assert resumed.metrics == whole.metrics
    for one, other in zip(
        weights(resumed).values(), weights(whole).values(), strict=True
    ):
        assert np.array_equal(one, other)


def test_a_truncated_last_checkpoint_is_told_and_the_one_before_is_used(
    tune, whole, stop_at, tmp_path, capsys
):
    stop_at(6, KeyboardInterrupt())
    with pytest.raises(InterruptedRunError):
        tune(output_dir=tmp_path / "run", save_every=2, **OPTIONS)
    last = tmp_path / "run/checkpoints/step-00000006/state.safetensors"
    last.write_bytes(last.read_bytes()[:-100])
    capsys.readouterr()
    resumed = tune(
        output_dir=tmp_path / "run", resume=True, **{**OPTIONS, "verbose": 1}
    )
    shown = capsys.readouterr().out
    assert "note: checkpoint step-00000006 is damaged: state.safetensors" in shown
    assert "resuming after epoch 1, step 0" in shown
    assert resumed.metrics == whole.metrics
    for one, other in zip(
        weights(resumed).values(), weights(whole).values(), strict=True
    ):
        assert np.array_equal(one, other)
