"""A command without a terminal prints what a reader needs, and no log of TensorFlow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

PYTHON = """
import tfft
run = tfft.load({run!r})
for length in range(1, 12):
    run.predict(["good " * length] * length)
adapter = tfft.apply(tfft.load_pretrained({model!r}).backbone, tfft.LoRA(rank=2))
"""


def process(*words):
    """Returns a Python process that ended, whose user set no level of logging."""
    environment = {**os.environ}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, bert_folder, make_rows):
    """Returns the run folder of a training of 15 epochs of 7 steps, and its output."""
    folder = tmp_path_factory.mktemp("trained")
    data, run = folder / "rows.jsonl", folder / "run"
    data.write_text("".join(json.dumps(row) + "\n" for row in make_rows(56)))
    done = process(
        "-m", "tfft", "finetune", "--model", str(bert_folder), "--data", str(data),
        "--output_dir", str(run), "--epochs", "15", "--batch_size", "8",
        "--validation", str(data), "--test", "0", "--early_stopping", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run, done


def test_finetune_prints_ten_lines_of_progress_at_most(trained):
    run, done = trained
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 15
    assert "105 steps in 15 epochs" in done.stdout
    progress = [line for line in done.stdout.splitlines() if "epoch " in line]
    shown = [int(re.match(r"epoch (\d+)/15 · ", line)[1]) for line in progress]
    assert len(shown) <= 10
    assert shown == sorted(set(shown))
    assert shown[-1] == 15
    assert not re.search(r"\bstep \d", done.stdout)


def test_finetune_writes_nothing_to_standard_error(trained):
    assert trained[1].stderr == ""


def test_predict_writes_nothing_to_standard_error(trained):
    done = process("-m", "tfft", "predict", str(trained[0]), "good", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)) >= {"label", "score"}


def test_the_first_lines_of_python_write_nothing_to_standard_error(
    trained, bert_folder
):
    code = PYTHON.format(run=str(trained[0]), model=str(bert_folder))
    done = process("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
