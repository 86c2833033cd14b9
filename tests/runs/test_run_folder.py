"""The run folder: what stands in it, what may be replaced, and what loads again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import tfft
from tfft.core.config import to_dict
from tfft.core.errors import DataError, MissingInputError, OutputInUseError

TEXTS = ["good abc 7", "bad", "", "Größe 漢字 🙂", "[SEP] a\x00b", "a b c " * 200]
PREDICT = """
import json, sys, numpy as np, tfft
run = tfft.load(sys.argv[1])
answers = run.predict(json.loads(sys.argv[2]))
np.save(sys.argv[3], [list(one["probabilities"].values()) for one in answers])
"""


@pytest.fixture
def copied(tiny_run, tmp_path):
    """A copy of the run that may be damaged."""
    return shutil.copytree(tiny_run.folder, tmp_path / "copied")


def test_the_folder_holds_these_files_and_no_others(tiny_run):
    found = {
        path.relative_to(tiny_run.folder).as_posix()
        for path in tiny_run.folder.rglob("*")
        if path.is_file() and "logs" not in path.parts
    }
    assert found == {
        "run.json", "metrics.csv", "metrics.jsonl", "tokenizer.json",
        "tokenizer_config.json", "trained_rows.npy", "head.safetensors",
        "report.json", "report.md", "report.html", "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    }  # fmt: skip


def test_run_json_says_what_was_done(tiny_run, bert_folder):
    record = json.loads((tiny_run.folder / "run.json").read_text())
    assert record == tiny_run.record
    assert record["status"] == "complete"
    assert record["format"] == 1
    assert record["model"]["source"] == str(bert_folder)
    assert record["model"]["architecture"] == "bert"
    assert len(record["model"]["fingerprint"]) == 64
    assert record["data"]["rows"] == {"train": 64, "validation": 8, "test": 8}
    assert record["task"]["text"] == ["text"]
    assert record["method"] == {
        "name": "lora",
        **to_dict(tfft.LoRA()),
    }
    assert record["method"]["rank"] == 8
    assert record["config"]["epochs"] == 2
    assert record["config"]["data"] == "<list>"
    assert record["versions"]["tfft"] == tfft.__version__
    assert {"tensorflow", "keras", "python"} < set(record["versions"])
    assert set(record["metrics"]["test"]) == {
        "accuracy", "macro_f1", "weighted_f1", "loss",
    }  # fmt: skip


def test_metrics_jsonl_has_a_line_for_each_epoch(tiny_run):
    text = (tiny_run.folder / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 4), (2, 8)]
    assert all(line["loss"] > 0 and line["seconds"] > 0 for line in lines)
    best = lines[tiny_run.record["best_epoch"] - 1]
    assert best["val_loss"] == min(line["val_loss"] for line in lines)
    validation = tiny_run.metrics["validation"]
    assert best["val_accuracy"] == pytest.approx(validation["accuracy"])


def test_tensorboard_can_read_the_scalars(tiny_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    text = (tiny_run.folder / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    for part, tag, name in (
        ("train", "epoch_loss", "loss"),
        ("validation", "epoch_loss", "val_loss"),
    ):
        events = EventAccumulator(str(tiny_run.folder / "logs" / part)).Reload()
        found = [float(make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
        assert found == pytest.approx([line[name] for line in lines])


def test_the_reports_hold_every_split(tiny_run):
    values = json.loads((tiny_run.folder / "report.json").read_text())
    assert set(values) == {"validation", "test"}
    accuracy = tiny_run.metrics["test"]["accuracy"]
    assert values["test"]["summary"]["accuracy"] == accuracy
    assert np.sum(values["test"]["confusion"]) == 8
    text = tiny_run.report()
    assert text.startswith("# text_classification · reviews\n")
    assert "## Validation" in text
    assert f"| accuracy |  |  | {accuracy:.4f} | 8 |" in text


def test_a_folder_that_holds_something_is_refused(tune, copied, tmp_path):
    with pytest.raises(OutputInUseError, match=r"not empty.*copied.*overwrite or res"):
        tune(output_dir=copied)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for more in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputInUseError, match=r"not a run.*only removes its own"):
            tune(output_dir=tmp_path / "mine", **more)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_overwrite_removes_what_tfft_wrote_and_nothing_else(tune, copied):
    (copied / "notes.txt").write_text("mine")
    before = json.loads((copied / "run.json").read_text())
    tune(output_dir=copied, overwrite=True)
    assert (copied / "notes.txt").read_text() == "mine"
    assert not (copied / "adapter").exists()
    assert before["method"]["name"] == "lora"
    assert tfft.load(copied).record["method"]["name"] == "head"
    assert len((copied / "metrics.jsonl").read_text().splitlines()) == 1
    assert len(list((copied / "logs" / "train").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("head.safetensors", "the run has no weights yet"),
        ("adapter/adapter_model.safetensors", "without adapter_model.safetensors"),
        ("run.json", "no run in this folder"),
    ],
)
def test_a_missing_file_is_named(copied, name, message):
    (copied / name).unlink()
    with pytest.raises(MissingInputError, match=f"{message}.*copied.* fix: "):
        tfft.load(copied)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_an_unusable_run_json_is_named(copied, text):
    (copied / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"not a usable run\.json: .*copied"):
        tfft.load(copied)


def test_weights_of_another_run_are_refused(copied, tune):
    other = tune(data=[{"text": f"a{i}", "label": i % 3} for i in range(60)])
    shutil.copy(other.folder / "head.safetensors", copied)
    with pytest.raises(DataError, match=r"do not fit: .*shape \(16, 3\), not \(16, 2"):
        tfft.load(copied)


def test_a_base_model_that_moved_is_found_with_model(tune, make_bert, tmp_path):
    run = tune(model=make_bert(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(
        MissingInputError, match=r"no base model at .*here.*with model="
    ):
        tfft.load(run.folder)
    moved = tfft.load(run.folder, model=tmp_path / "there")
    assert moved.predict(TEXTS) == run.predict(TEXTS)


def test_another_base_model_is_refused(copied, make_bert, tmp_path):
    other = make_bert(tmp_path / "other", seed=1)
    with pytest.raises(DataError, match=r"not the base model.*SHA-256"):
        tfft.load(copied, model=other)


def test_a_fresh_process_predicts_bit_for_bit_the_same(tiny_run, tmp_path):
    path = tmp_path / "probabilities.npy"
    command = [sys.executable, "-c", PREDICT, tiny_run.folder, json.dumps(TEXTS), path]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    expected = [list(one["probabilities"].values()) for one in tiny_run.predict(TEXTS)]
    assert np.array_equal(np.load(path), expected)
