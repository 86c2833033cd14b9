"""KerasTuner's searches, by name and as objects: what they try, by hand."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import yaml

import tfft

RATES = tfft.log_uniform(1e-3, 1e-1)


@pytest.fixture(scope="module")
def tuned(search_options, tmp_path_factory):
    """Searches on the tiny BERT, where trials that are stopped would hide others."""

    def run(**options):
        folder = tmp_path_factory.mktemp("kinds") / "search"
        given = {**search_options, "epochs": 1, "prune": False, **options}
        return tfft.tune(output_dir=folder, **given)

    return run


def points(search):
    return [dict(one.values) for one in search.trials]


def test_grid_tries_every_combination_that_there_is_once(tuned):
    found = tuned(
        search="grid",
        space={
            "method": ["lora", "bitfit"],
            "rank": [2, 4],
            "learning_rate": [1e-3, 1e-2],
            "warmup": tfft.choice([0.0, 0.1]).when(method="bitfit"),
        },
    )
    rates = (1e-3, 1e-2)
    expected = [
        {"method": "lora", "method.rank": rank, "learning_rate": rate}
        for rank, rate in itertools.product((2, 4), rates)
    ] + [
        {"method": "bitfit", "learning_rate": rate, "warmup": warmup}
        for rate, warmup in itertools.product(rates, (0.0, 0.1))
    ]

    def sortable(one):
        return sorted(one.items())

    assert sorted(points(found), key=sortable) == sorted(expected, key=sortable)
    assert {one.status for one in found.trials} == {"completed"}
    record = found.best_run().record
    assert record["method"]["name"] == found.best.values["method"]


def test_hyperband_has_the_brackets_of_its_paper(tuned):
    """Li et al. (2018), algorithm 1, with R = 3 epochs and eta = 3.

    Bracket 1: three for 1 epoch, the best of them for 3. Bracket 0: two for 3.
    """
    found = tuned(search="hyperband", space={"learning_rate": RATES}, epochs=3)
    assert Counter(one.epochs for one in found.trials) == {1: 3, 3: 3}
    for one in found.trials:
        assert len(one.history) == one.epochs
    short = [one for one in found.trials if one.epochs == 1]
    promoted = min(short, key=lambda one: one.score)
    assert dict(promoted.values) in [
        dict(one.values) for one in found.trials if one.epochs == 3
    ]
    distinct = {tuple(one.values.values()) for one in found.trials}
    assert len(distinct) == 5  # all but the promoted one are new


def test_hyperband_over_few_combinations_trains_the_best_of_them_in_full(tuned):
    found = tuned(search="hyperband", space={"rank": [2, 4]}, epochs=3)
    assert [one.epochs for one in found.trials] == [1, 1, 3]
    short = min(found.trials[:2], key=lambda one: one.score)
    assert found.trials[2].values == short.values
    assert found.best is found.trials[2]
    assert yaml.safe_load(found.best_config.read_text())["epochs"] == 3


def test_a_grid_is_whole_and_its_size_is_said(tuned, capsys):
    space = {"learning_rate": RATES, "use_rslora": [False, True]}
    given = {"name": "grid", "points": 2}
    found = tuned(search=given, space=space, max_trials=3, verbose=1)
    assert (
        points(found)
        == [
            {"learning_rate": rate, "method.use_rslora": scaled}
            for rate, scaled in itertools.product((1e-3, 1e-1), (False, True))
        ][:3]
    )
    assert "note: 3 of 4 combinations, because of max_trials" in capsys.readouterr().out


@pytest.mark.slow
def test_bayesian_draws_at_random_first_and_the_same_with_the_same_seed(tuned):
    options = {
        "search": {"name": "bayesian", "num_initial_points": 2},
        "space": {"learning_rate": RATES, "method": ["lora", "bitfit"], "rank": [2, 4]},
        "max_trials": 4,
    }
    found, again = tuned(**options), tuned(**options)
    assert len(found.trials) == 4
    assert points(found) == points(again)
    assert [one.score for one in found.trials] == [one.score for one in again.trials]
    for one in points(found):
        assert ("method.rank" in one) == (one["method"] == "lora")
        assert 1e-3 <= one["learning_rate"] <= 1e-1
    other = tuned(**options, seed=7)
    assert points(other) != points(found)


@pytest.mark.parametrize(
    "kind", ["oracle", pytest.param("tuner", marks=pytest.mark.slow)]
)
def test_an_object_of_keras_tuner_searches(tuned, tmp_path, kind):
    import keras_tuner

    limits = {"max_trials": 3, "seed": 5}
    if kind == "oracle":
        given = keras_tuner.oracles.RandomSearchOracle(**limits)
    else:
        given = keras_tuner.RandomSearch(
            lambda space: None,
            objective="val_loss",
            directory=tmp_path,
            **limits,
        )
    space = {"method": ["lora", "bitfit"], "rank": [2], "learning_rate": RATES}
    found = tuned(search=given, space=space)
    assert len(found.trials) == 3
    assert found.best.score == min(one.score for one in found.trials)
    # KerasTuner alone, asked for the same points.
    by_hand = keras_tuner.HyperParameters()
    by_hand.Choice("method", ["lora", "bitfit"], ordered=False)
    by_hand.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    with by_hand.conditional_scope("method", ["lora"]):
        by_hand.Choice("method.rank", [2], ordered=False)
    alone = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("score", "min"),
        hyperparameters=by_hand,
        **limits,
    )
    expected = [alone.populate_space(str(n))["values"] for n in range(3)]
    assert points(found) == [
        {k: v for k, v in one.items() if k != "method.rank" or one["method"] == "lora"}
        for one in expected
    ]
