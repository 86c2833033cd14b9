"""Searches of a function that is known, so that scores and direction are seen."""

from __future__ import annotations

import dataclasses
import math

import keras_tuner
import numpy as np
import pytest

import tfft
from tfft.tuning.oracles import make_oracle
from tfft.tuning.search import run_search
from tfft.tuning.space import Space
from tfft.tuning.trials import read_trials

BEST = 1e-3
SPACE = Space({"learning_rate": tfft.log_uniform(1e-5, 1e-1)})
TRIALS = 12


def distance(values):
    """Decades from the best learning rate."""
    return abs(math.log10(values["learning_rate"] / BEST))


@pytest.mark.slow  # KerasTuner's choice of a point takes a second
@pytest.mark.parametrize("higher", [True, False])
def test_bayesian_comes_nearer_to_what_is_best(tmp_path, higher):
    sign = -1 if higher else 1

    def measure(asked, epochs):
        return dataclasses.replace(asked, score=sign * distance(asked.values) ** 2)

    oracle = make_oracle(
        {"name": "bayesian", "num_initial_points": 4},
        SPACE.declared(keras_tuner),
        max_trials=TRIALS,
        epochs=None,
        higher_is_better=higher,
        seed=3,
    )
    ended = []
    run_search(oracle, SPACE, measure, ended.append, tmp_path, worker_timeout=60)
    away = [distance(one.values) for one in read_trials(tmp_path / "trials")]
    assert len(away) == len(ended) == TRIALS
    # Uniform draws from four decades are one away on average.
    assert np.median(away[TRIALS // 2 :]) < 0.3
    assert min(away) < 0.1
