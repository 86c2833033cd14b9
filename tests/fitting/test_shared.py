"""Trainings that share a backbone end as those of `finetune`, bit for bit."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tfft
from tfft.core.errors import ConfigError
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.finish import save
from tfft.fitting.network import room_for
from tfft.fitting.session import Session

# One after another on one backbone: what one leaves behind, the next would show.
TRAININGS = [
    {"learning_rate": 1e-2},
    {"method": {"name": "lora", "rank": 2, "dropout": 0.2}, "seed": 3},
    {"method": "full", "seed": 3},
    {"learning_rate": 3e-3, "epochs": 2, "batch_size": 16, "optimizer": "sgd"},
    {"method": {"name": "prefix", "length": 2}, "seed": 3, "ema": 0.9},
]


@pytest.fixture(scope="module")
def options(bert_folder, make_rows):
    return {
        "model": bert_folder,
        "data": {"train": make_rows(32), "validation": make_rows(24, seed=1)},
        "test": 0,
        "epochs": 1,
        "batch_size": 8,
        "precision": "float32",
        "verbose": 0,
    }


@pytest.fixture(scope="module")
def shared(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    config = FinetuneConfig(output_dir=folder, **options)
    return Session(config, folder, lambda text: None)


def weights(run):
    return [np.array(variable) for variable in run.model.trainable_weights]


@pytest.mark.parametrize("changes", TRAININGS, ids=str)
def test_a_shared_training_is_one_of_finetune(shared, options, tmp_path, changes):
    fitted = shared.fit(**changes)
    alone = tfft.finetune(output_dir=tmp_path / "run", **{**options, **changes})
    assert fitted.metrics == alone.metrics["validation"]
    assert fitted.best_epoch == alone.record["best_epoch"]
    ours = weights(shared.predictor(fitted))
    assert len(ours) == len(weights(alone))
    for one, other in zip(ours, weights(alone), strict=True):
        assert np.array_equal(one, other)


def test_what_was_fitted_comes_back_after_other_trainings(shared, make_rows):
    first = shared.fit(learning_rate=1e-2)
    texts = [row["text"] for row in make_rows(10, seed=5)]
    before = shared.predictor(first).predict(texts)
    shared.fit(method="full")
    shared.fit(learning_rate=1e-2, seed=9)
    assert shared.predictor(first).predict(texts) == before


def test_rows_by_index_are_the_same_as_their_table(shared, options, tmp_path):
    train, held = [5, 4, 9, 30, 2, 7, 8, 11, 12], [0, 1, 3, 6]
    rows = options["data"]["train"]
    parts = {
        "train": [rows[index] for index in train],
        "validation": [rows[index] for index in held],
    }
    fitted = shared.fit(train=train, validation=held)
    alone = tfft.finetune(output_dir=tmp_path / "run", **{**options, "data": parts})
    assert fitted.metrics == alone.metrics["validation"]


def test_without_validation_the_last_epoch_is_kept(shared):
    fitted = shared.fit(train=range(12), epochs=2)
    assert (fitted.best_epoch, fitted.metrics) == (2, {})
    assert len(fitted.history) == 2


def test_options_of_the_inputs_are_refused(shared):
    with pytest.raises(ConfigError, match=r"backbone_dropout.*new session"):
        shared.fit(backbone_dropout=0.5)
    with pytest.raises(ConfigError, match=r"strategy.*new session"):
        shared.fit(strategy="mirrored")


@pytest.fixture
def traced(monkeypatch):
    """The models whose step was traced, one entry for each trace."""
    from tfft.training.step import TrainingModel

    found = []
    real = TrainingModel.gradient

    def gradient(self, *args):
        found.append(self)
        return real(self, *args)

    monkeypatch.setattr(TrainingModel, "gradient", gradient)
    return found


def test_a_second_training_of_the_same_method_traces_nothing(shared, traced):
    shared.fit(learning_rate=1e-2)
    traced.clear()
    shared.fit(learning_rate=5e-3, seed=4, epochs=2)
    assert traced == []
    shared.fit(learning_rate=5e-3, clip_norm=0.5)
    assert traced


@pytest.fixture(scope="module")
def roomy(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("roomy")
    config = FinetuneConfig(output_dir=folder, **options)
    return Session(config, folder, lambda text: None, largest={"rank": 6, "alpha": 32})


GUESTS = [
    {"method": {"name": "lora", "rank": 3, "alpha": 32.0}, "weight_decay": 0.1},
    {"method": {"name": "lora", "rank": 6, "alpha": 4.0, "use_rslora": True}},
    {"method": {"name": "lora", "rank": 2, "use_dora": True, "dropout": 0.1}},
    {"method": {"name": "lora", "rank": 2, "initialization": "pissa"}},
]


def test_there_is_no_room_beside_an_optimizer_that_takes_arrays_as_a_whole():
    largest = {"rank": 8}
    assert room_for(tfft.LoRA(rank=4), largest, "adamw").rank == 8
    assert room_for(tfft.LoRA(rank=4), largest, keras.optimizers.Lion()).rank == 8
    assert room_for(tfft.LoRA(rank=4), largest, "muon") is None
    assert room_for(tfft.LoRA(rank=4), {}, "adamw") is None


@pytest.mark.parametrize("changes", GUESTS, ids=str)
def test_a_guest_trains_in_a_larger_network_as_in_its_own(
    roomy, options, tmp_path, changes
):
    changes = {"learning_rate": 1e-2, "epochs": 2, "seed": 5, **changes}
    fitted = roomy.fit(**changes)
    alone = tfft.finetune(output_dir=tmp_path / "run", **{**options, **changes})
    ours = weights(roomy.predictor(fitted))
    for one, other in zip(ours, weights(alone), strict=True):
        # Sums over other shapes are rounded otherwise, and Adam divides by them.
        assert np.allclose(one, other, rtol=0, atol=2e-5)
    reported = alone.metrics["validation"]
    assert fitted.metrics == pytest.approx(reported, abs=1e-5)
    saved = save(roomy, fitted, tmp_path / "saved")
    assert saved.metrics["validation"] == pytest.approx(reported, abs=1e-5)
    assert saved.record["cost"]["trainable"] == alone.record["cost"]["trainable"]


def test_other_ranks_and_alphas_trace_nothing(roomy, traced):
    method = {"name": "lora", "target": "query"}
    roomy.fit(method={**method, "rank": 2}, seed=3)
    traced.clear()
    one = roomy.fit(method={**method, "rank": 6, "alpha": 1}, seed=3)
    other = roomy.fit(method={**method, "rank": 6, "alpha": 32}, seed=3)
    assert traced == []
    assert one.metrics["loss"] != other.metrics["loss"]
    roomy.fit(method={**method, "rank": 6, "use_rslora": True}, seed=3)
    assert traced


def test_an_only_epoch_is_scored_once(shared, monkeypatch):
    from tfft.runs.predictor import Predictor

    scored = []
    real = Predictor.plain_report

    def evaluate(self, table):
        scored.append(self)
        return real(self, table)

    monkeypatch.setattr(Predictor, "plain_report", evaluate)
    fitted = shared.fit(learning_rate=1e-2, precision="mixed_bfloat16")
    assert len(scored) == 1
    assert fitted.history[0]["val_loss"] == fitted.metrics["loss"]


def test_a_saved_training_is_a_run_as_any_other(shared, options, tmp_path, make_rows):
    from tfft.recipes.inspect import inspect_run

    fitted = shared.fit(learning_rate=1e-2)
    saved = save(shared, fitted, tmp_path / "run")
    texts = [row["text"] for row in make_rows(10, seed=5)]
    answers = saved.predict(texts)
    shared.fit(method="full")
    loaded = tfft.load(tmp_path / "run")
    assert loaded.predict(texts) == answers
    assert loaded.metrics["validation"] == fitted.metrics
    alone = tfft.finetune(
        output_dir=tmp_path / "alone", **{**options, "learning_rate": 1e-2}
    )
    assert loaded.record.keys() == alone.record.keys()
    assert loaded.record["labels"] == alone.record["labels"]
    assert (tmp_path / "run" / "report.html").is_file()
    assert inspect_run(tmp_path / "run").tables
