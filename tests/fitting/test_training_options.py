"""Pieces, bad steps, checkpoints and precision, said to `finetune`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

import tfft
from tfft.core.errors import ConfigError, DivergedError, OutOfMemoryError
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.replicas import on_replicas
from tfft.training.step import TrainingModel
from tfft.training.sums import gradient_sums

OPTIONS = {"batch_size": 8, "test": 0, "learning_rate": 0.02, "epochs": 2}


def head(run):
    return np.concatenate([np.array(v).ravel() for v in run.model.head_variables])


def lines(run):
    text = (run.folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def plain(tune):
    return tune(**OPTIONS)


@pytest.mark.parametrize("pieces", [2, 3, 8])
def test_pieces_change_the_memory_and_not_the_result(pieces, plain, tune):
    # The head alone has no dropout in the model below; its own is drawn per piece.
    options = {**OPTIONS, "task": {"name": "text_classification", "dropout": 0}}
    quiet = {"backbone_dropout": 0}
    whole, cut = (tune(**options, **quiet, accumulation=n) for n in (1, pieces))
    # 1e-6: sums of float32 in another order, under Adam's steps of 2e-2.
    np.testing.assert_allclose(head(cut), head(whole), rtol=0, atol=1e-6)
    assert cut.record["config"]["accumulation"] == pieces


@pytest.fixture
def crowded(monkeypatch):
    """Makes batches of more rows than the limit too large for the memory."""
    import tfft.training.step as step

    seen = []

    def limit(rows):
        def sums(call, objective, variables, batch, scale):
            size = batch["token_ids"].shape[0]
            seen.append(size)
            if size is None or size > rows:  # unknown where the last batch is smaller
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return gradient_sums(call, objective, variables, batch, scale)

        monkeypatch.setattr(step, "gradient_sums", sums)
        return seen

    return limit


def test_auto_takes_the_pieces_that_fit(tune, crowded):
    options = {**OPTIONS, "batch_size": "auto"}
    whole = tune(**options)
    seen = crowded(4)
    cut = tune(**options)
    # 16 rows, then 8 and 4: the divisors of 16.
    assert sorted(set(seen), reverse=True) == [16, 8, 4]
    assert [one["step"] for one in lines(cut)] == [one["step"] for one in lines(whole)]


def test_a_step_that_does_not_fit_is_told_when_the_size_is_given(tune, crowded):
    crowded(4)
    with pytest.raises(OutOfMemoryError, match=r"a step of 8 rows.*raise accumulation"):
        tune(**OPTIONS)


@pytest.fixture
def poisoned(monkeypatch):
    """Makes the loss of one training row not a number."""
    take = TrainingModel.train_step

    def poison(row):
        def bad_step(self, batch):
            weights = batch["weights"].numpy()
            weights[batch["row_ids"].numpy() == row] = np.nan
            return take(self, {**batch, "weights": tf.constant(weights)})

        monkeypatch.setattr(TrainingModel, "train_step", bad_step)

    return poison


def test_a_bad_row_is_named_before_it_does_harm(tune, poisoned, tmp_path, make_rows):
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_rows(40)))
    poisoned(7)
    options = {**OPTIONS, "validation": 0, "output_dir": tmp_path / "run"}
    with pytest.raises(DivergedError) as caught:
        tune(**{**options, "data": path})
    assert caught.value.where.startswith("epoch 1, step ")
    assert f"rows {path}:8; first seen in the loss" in caught.value.where
    run = tfft.load(tmp_path / "run")
    assert run.record["status"] == "diverged"
    assert np.isfinite(head(run)).all()


def test_a_bad_step_can_be_skipped_and_is_counted(tune, poisoned, plain):
    poisoned(7)
    run = tune(**OPTIONS, on_nan="skip")
    # One step of each epoch has the row.
    assert [line["skipped"] for line in lines(run)] == [1, 2]
    assert np.isfinite(head(run)).all()
    assert not np.array_equal(head(run), head(plain))


def test_checkpoints_come_as_often_as_said_and_go_at_the_end(
    tune, monkeypatch, tmp_path
):
    from tfft.checkpoints.training_state import Checkpoints

    kept, save = [], Checkpoints.save

    def watch(self, state, extra, facts):
        save(self, state, extra, facts)
        folder = tmp_path / "run/checkpoints"
        kept.append(sorted(int(one.name[5:]) for one in folder.iterdir()))

    monkeypatch.setattr(Checkpoints, "save", watch)
    options = {**OPTIONS, "output_dir": tmp_path / "run", "validation": 0}
    tune(**options, save_every=2, keep_last=3)  # 5 steps an epoch
    assert kept == [
        [2], [2, 4], [2, 4, 5], [4, 5, 7], [5, 7, 9], [7, 9, 10]
    ]  # fmt: skip
    assert not (tmp_path / "run/checkpoints").exists()


def test_the_best_checkpoints_stay_when_asked_for(tune, monkeypatch, tmp_path):
    from tfft.checkpoints.training_state import Checkpoints

    monkeypatch.setattr(Checkpoints, "drop", lambda self: None)
    shared = {"learning_rate": 5.0, "schedule": "constant", "epochs": 5, "warmup": 0}
    run = tune(
        **{**OPTIONS, **shared, "early_stopping": 0},
        keep_last=1,
        keep_best=1,
        output_dir=tmp_path / "run",
    )
    found = lines(run)
    best = min(found[:-1], key=lambda line: line["val_loss"])["step"]
    kept = {int(one.name[5:]) for one in (tmp_path / "run/checkpoints").iterdir()}
    assert kept == {best, found[-1]["step"]}


def test_float16_trains_with_a_loss_scale(tune, plain):
    run = tune(**OPTIONS, precision="mixed_float16")
    assert run.record["precision"] == "mixed_float16"
    assert np.isfinite(head(run)).all()
    assert not np.array_equal(head(run), head(plain))


def test_versions_that_matter_are_compared_on_a_resume(tune, plain, tmp_path):
    path = plain.folder / "run.json"
    content = path.read_text()
    record = json.loads(content)
    record["versions"]["keras"] = "3.0.0"
    path.write_text(json.dumps(record))
    try:
        with pytest.raises(ConfigError, match=r"keras was 3\.0\.0 and is 3\."):
            tune(output_dir=plain.folder, resume=True, **OPTIONS)
    finally:
        path.write_text(content)


def test_one_device_is_the_chief_of_one_replica(tmp_path):
    with on_replicas(None) as replicas, replicas.folder(tmp_path) as folder:
        assert (replicas.count, replicas.chief, folder) == (1, True, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": "many"}, "'many' has the wrong type.*whole number"),
        ({"accumulation": 0}, "accumulation=0 makes no sense.*1 to batch_size=16"),
        ({"accumulation": 17}, "accumulation=17 makes no sense"),
        ({"save_every": 0}, "save_every=0 makes no sense.*1 or more steps"),
        ({"keep_last": 0}, "keep_last=0 makes no sense"),
        ({"keep_best": -1}, "keep_best=-1 makes no sense"),
        ({"on_nan": "ignore"}, "'ignore' is not allowed.*one of: stop, skip"),
    ],
)
def test_values_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig(model="m", data="d", output_dir="o", **options)
