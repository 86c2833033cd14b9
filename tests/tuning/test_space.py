"""Spaces: names, conditions, texts, and what a point of them says."""

from __future__ import annotations

import pytest

import tfft
from tfft.core.errors import ConfigError
from tfft.tuning.distributions import (
    Choice,
    IntRange,
    LogUniform,
    Uniform,
    read_distribution,
)
from tfft.tuning.space import changes, read_space

OPTIONS = ("learning_rate", "epochs", "method", "task")
LORA = {"lora": ("rank", "dropout")}
BOTH = {**LORA, "bitfit": ()}
TASK = ("max_length", "dropout")


def read(space, methods=LORA):
    return read_space(space, OPTIONS, methods, TASK)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([4, 8], Choice((4, 8))),
        ("4, 8", Choice((4, 8))),
        ("query, all-linear", Choice(("query", "all-linear"))),
        ("log_uniform(1e-5, 1e-3)", LogUniform(1e-5, 1e-3)),
        ({"int_range": [2, 8, 2]}, IntRange(2, 8, 2)),
        (
            {"choice": [1, 2], "when": {"method": "lora"}},
            tfft.choice([1, 2]).when(method="lora"),
        ),
    ],
    ids=str,
)
def test_a_distribution_can_be_said_in_many_ways(given, expected):
    assert read_distribution(given, "space.x") == expected


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (3, r"3 is not a set of values.*write \[3\]"),
        ([], "one value or more"),
        ("loguniform(1, 2)", 'did you mean "log_uniform"'),
        ("uniform(1)", "uniform of"),
        ("uniform(2, 1)", "the smaller first"),
        ("uniform(a, b)", "two numbers"),
        ("log_uniform(0, 1)", "numbers above 0"),
        ("int_range(1, 2.5)", "whole numbers"),
        ("int_range(1, 4, 0)", "a step of 1 or more"),
        ({"uniform": [0, 1], "choice": [1]}, "names 2 distributions"),
    ],
    ids=str,
)
def test_a_distribution_that_makes_no_sense_is_refused(given, match):
    with pytest.raises(ConfigError, match=match):
        read_distribution(given, "space.x")


def test_names_are_those_of_finetune_then_of_the_method():
    found = read({"rank": [4], "learning_rate": [0.1], "task.max_length": [8]})
    assert list(found.entries) == ["method.rank", "learning_rate", "task.max_length"]
    assert list(read({"method.rank": [4]}).entries) == ["method.rank"]


@pytest.mark.parametrize(
    ("space", "match"),
    [
        ({}, "names of options"),
        ([1], "names of options"),
        ({"learning_rat": [1]}, 'did you mean "learning_rate"'),
        ({"task.rank": [1]}, "unknown option 'task.rank'"),
        ({"rank": [1], "method.rank": [2]}, "twice"),
        ({"rank": tfft.choice([1]).when(epochs=3)}, "which is not searched"),
        ({"rank": tfft.choice([1]).when(rank=3)}, "which is not searched"),
        (
            {"epochs": tfft.int_range(1, 3), "rank": tfft.choice([1]).when(epochs=3)},
            "a list of values",
        ),
        (
            {"epochs": [1, 2], "rank": tfft.choice([1]).when(epochs=3)},
            "never has the value 3",
        ),
    ],
    ids=str,
)
def test_a_space_that_cannot_be_meant_is_refused(space, match):
    with pytest.raises(ConfigError, match=match):
        read(space)


def test_options_of_one_method_apply_with_that_method():
    space = read({"rank": [4, 8], "method": ["lora", "bitfit"]}, BOTH)
    assert space.entries["method.rank"].conditions == {"method": ("lora",)}
    assert list(space.entries) == ["method", "method.rank"]  # parents first
    assert space.values({"method": "bitfit", "method.rank": 4}) == {"method": "bitfit"}


def test_conditions_hold_all_the_way_up():
    space = read(
        {
            "epochs": tfft.choice([1, 2]).when(rank=8),
            "rank": [4, 8],
            "method": ["lora", "bitfit"],
        },
        BOTH,
    )
    values = {"method": "bitfit", "method.rank": 8, "epochs": 1}
    assert space.values(values) == {"method": "bitfit"}


def test_keras_tuner_draws_from_the_space_and_its_conditions():
    import keras_tuner

    space = read(
        {
            "learning_rate": tfft.log_uniform(1e-5, 1e-1),
            "rank": [4, 8],
            "dropout": [0.0, None, "x"],  # of several kinds: known by number
            "method": ["lora", "bitfit"],
        },
        BOTH,
    )
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("score", "max"),
        max_trials=60,
        seed=1,
        hyperparameters=space.declared(keras_tuner),
    )
    drawn = []
    for index in range(60):
        stored = oracle.populate_space(str(index))["values"]
        drawn.append(space.values(stored))
    rates = [one["learning_rate"] for one in drawn]
    assert min(rates) < 1e-4  # a quarter of a logarithmic range, not of a linear one
    assert max(rates) > 1e-2
    assert sum(rate < 1e-3 for rate in rates) in range(15, 46)  # half of 60
    for one in drawn:
        assert ("method.rank" in one) == (one["method"] == "lora")
    assert {one.get("method.dropout") for one in drawn} == {0.0, None, "x"}


def test_a_point_as_options_of_finetune():
    values = {"epochs": 2, "method.rank": 4, "task.max_length": 8}
    method = {"name": "lora", "rank": 16, "alpha": 2}
    task = {"name": "t", "label": "y"}
    assert changes(values, method, task) == {
        "epochs": 2,
        "method": {"name": "lora", "rank": 4, "alpha": 2},
        "task": {"name": "t", "label": "y", "max_length": 8},
    }
    assert changes({"method": "bitfit"}, method, task) == {"method": {"name": "bitfit"}}
    assert changes({"epochs": 2}, method, task) == {"epochs": 2}


def test_the_largest_values_are_those_of_the_numbers_of_the_method():
    space = read_space(
        {
            "rank": [4, 16, 8],
            "alpha": IntRange(2, 32),
            "dropout": Uniform(0.0, 0.3),
            "target": ["query", "value"],
            "learning_rate": LogUniform(1e-4, 1e-2),
        },
        OPTIONS,
        {"lora": ["rank", "alpha", "dropout", "target"]},
        [],
    )
    assert space.largest == {"rank": 16, "alpha": 32, "dropout": 0.3}
