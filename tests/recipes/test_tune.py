"""A search: its trials are those of `finetune`, its folder goes on, its limits hold."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import yaml

import tfft
from tfft.cli.main import main
from tfft.core.errors import (
    ConfigError,
    DataError,
    DivergedError,
    InterruptedRunError,
    OutputInUseError,
)
from tfft.fitting.session import Session

SPACE = {"learning_rate": tfft.log_uniform(1e-3, 1e-1), "rank": [2, 4]}
TRIALS = 4


@pytest.fixture(scope="module")
def options(search_options):
    return {**search_options, "space": SPACE, "max_trials": TRIALS}


@pytest.fixture(scope="module")
def search(options, tmp_path_factory):
    return tfft.tune(output_dir=tmp_path_factory.mktemp("searches") / "a", **options)


def facts(trials):
    return [(one.name, dict(one.values), one.score, one.status) for one in trials]


def test_the_best_options_as_yaml_give_the_score_that_was_reported(search, tmp_path):
    output = tmp_path / "again"
    arguments = ["--config", str(search.best_config), "--output_dir", str(output)]
    assert main(["finetune", *arguments, "--verbose", "0"]) == 0
    again = tfft.load(output)
    assert again.metrics["validation"]["loss"] == search.best.score
    assert again.metrics == search.best_run().metrics
    assert again.record["method"]["rank"] == search.best.values["method.rank"]
    texts = ["good abc", "bad cab"]
    assert again.predict(texts) == search.best_run().predict(texts)


def test_the_result_is_a_table_with_every_trial(search):
    assert len(search.trials) == TRIALS
    assert search.best.score == min(one.score for one in search.trials)
    with (search.folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [
        one.name for one in sorted(search.trials, key=lambda one: one.score)
    ]
    assert rows[0]["loss"] == f"{search.best.score:.4g}"
    assert "method.rank" in str(search)


def test_the_picture_is_one(search):
    from matplotlib.image import imread

    pixels = imread(search.folder / "search.png")
    assert pixels.shape[2] == 4
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 20


def test_an_interrupted_search_ends_as_one_that_was_not(
    search, options, tmp_path, monkeypatch
):
    fit, calls = Session.fit, []

    def stopping(self, **changes):
        calls.append(changes)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(self, **changes)

    monkeypatch.setattr(Session, "fit", stopping)
    with pytest.raises(InterruptedRunError, match=r"search was stopped.*resume"):
        tfft.tune(output_dir=tmp_path / "b", **options)
    with pytest.raises(OutputInUseError, match="overwrite or resume"):
        tfft.tune(output_dir=tmp_path / "b", **options)
    other = {**options, "max_trials": 3}
    with pytest.raises(ConfigError, match=r"another search: .*max_trials was '4'"):
        tfft.tune(output_dir=tmp_path / "b", resume=True, **other)
    resumed = tfft.tune(output_dir=tmp_path / "b", resume=True, **options)
    trained = [one for one in calls if "callbacks" in one]
    assert len(trained) == TRIALS + 1  # what had ended is not done again
    assert facts(resumed.trials) == facts(search.trials)
    assert resumed.best_run().metrics == search.best_run().metrics


def test_a_damaged_state_file_is_named(search, options, tmp_path):
    import shutil

    shutil.copytree(search.folder, tmp_path / "c")
    path = tmp_path / "c" / "oracle" / "oracle.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=r"damaged.*oracle\.json"):
        tfft.tune(output_dir=tmp_path / "c", resume=True, **options)


def test_a_trial_that_diverges_costs_that_trial_only(
    options, tmp_path, monkeypatch, capfd
):
    fit = Session.fit

    def diverging(self, **changes):
        if changes["method"]["rank"] == 4:
            raise DivergedError("the loss is nan")
        return fit(self, **changes)

    monkeypatch.setattr(Session, "fit", diverging)
    found = tfft.tune(
        output_dir=tmp_path / "d",
        **{**options, "search": "grid", "space": {"rank": [4, 2]}},
    )
    assert [one.status for one in found.trials] == ["failed", "completed"]
    assert "the loss is nan" in str(found)
    assert found.best.values == {"method.rank": 2}
    assert "Traceback" not in capfd.readouterr().err


def test_no_score_at_all_is_an_error_that_says_why(options, tmp_path, monkeypatch):
    def diverging(self, **changes):
        raise DivergedError("the loss is nan")

    monkeypatch.setattr(Session, "fit", diverging)
    with pytest.raises(DataError, match=r"none of 2 trials.*the loss is nan"):
        tfft.tune(output_dir=tmp_path / "e", **{**options, "max_trials": 2})


def test_an_objective_that_is_not_reported_is_told_at_once(options, tmp_path):
    with pytest.raises(ConfigError, match=r"acuracy.*accuracy.*did you mean"):
        tfft.tune(output_dir=tmp_path / "f", objective="acuracy", **options)


@pytest.mark.slow
def test_objective_and_direction_decide_what_is_best(options, tmp_path):
    one = {**options, "max_trials": 2, "epochs": 1}
    found = tfft.tune(output_dir=tmp_path / "g", objective="accuracy", **one)
    assert found.higher_is_better
    assert found.best.score == found.best.metrics["accuracy"]
    worst = tfft.tune(output_dir=tmp_path / "h", direction="max", **one)
    assert worst.best.score == max(one.score for one in worst.trials)


@pytest.mark.slow
def test_other_methods_and_inputs_are_searched_too(options, tmp_path):
    space = {
        "method": ["lora", "bitfit"],
        "rank": [2],
        "task.max_length": [8, 16],
        "backbone_dropout": [0.0],
    }
    found = tfft.tune(
        output_dir=tmp_path / "i",
        **{**options, "space": space, "search": "grid", "epochs": 1, "prune": False},
    )
    assert len(found.trials) == 4
    best = yaml.safe_load(found.best_config.read_text())
    assert best["task"]["max_length"] == found.best.values["task.max_length"]
    record = found.best_run().record
    assert record["method"]["name"] == found.best.values["method"]
    assert record["task"]["max_length"] == found.best.values["task.max_length"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"space": {"seed": [1, 2]}}, "seed cannot be searched"),
        ({"space": {"rnk": [1]}}, 'did you mean "rank"'),
        ({"space": {"method": [{"name": "lora"}]}}, "options of a method"),
        ({"search": "bayes"}, 'did you mean "bayesian"'),
        ({"search": {"name": "random", "betta": 1}}, "unknown option betta"),
        ({"search": 7}, "an oracle or tuner of KerasTuner"),
        ({"search": "hyperband"}, "hyperband with max_trials"),
        ({"max_trials": 0}, "1 or more"),
        ({"worker_timeout": 1}, "10 seconds or more"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    options, tmp_path, changes, match
):
    with pytest.raises(ConfigError, match=match):
        tfft.tune(output_dir=tmp_path / "x", **{**options, **changes})
    assert not (tmp_path / "x" / "trials").exists()
