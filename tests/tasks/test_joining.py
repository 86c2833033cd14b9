"""Joined outputs, by scipy and numpy from the members' own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from tfft.core.errors import ConfigError
from tfft.tasks.joining import agreed, join, join_choices, join_numbers, join_yes_or_no
from tfft.tasks.multi_label import MultiLabel
from tfft.tasks.task import TASKS

LOGITS = np.random.default_rng(0).normal(0, 3, (5, 4, 3)).astype("float32")


def test_choices_have_the_mean_probability():
    found = softmax(join_choices(LOGITS, "average"), axis=-1)
    # float32 against float64
    expected = softmax(LOGITS.astype("float64"), axis=-1).mean(axis=0)
    assert found == pytest.approx(expected, abs=1e-6)


def test_certainty_has_no_infinite_logit():
    sure = np.array([[[200.0, 0.0]], [[150.0, 0.0]]], "float32")
    for how in ("average", "vote"):
        found = np.array(join_choices(sure, how))
        assert np.isfinite(found).all()
        assert softmax(found, axis=-1)[0] == pytest.approx([1, 0], abs=1e-30)


def test_yes_and_no_have_the_mean_probability_of_each_label():
    found = expit(join_yes_or_no(LOGITS, "average"))
    expected = expit(LOGITS.astype("float64")).mean(axis=0)
    assert found == pytest.approx(expected, abs=1e-6)


def test_numbers_have_the_mean():
    found = np.array(join_numbers(LOGITS, "average"))
    assert found == pytest.approx(LOGITS.mean(axis=0), abs=1e-6)


@pytest.mark.parametrize("join", [join_yes_or_no, join_numbers])
def test_what_is_no_choice_has_no_votes(join):
    with pytest.raises(ConfigError, match=r"how='vote'.*average"):
        join(LOGITS, "vote")


@pytest.mark.parametrize("name", list(TASKS.names()))
def test_every_task_joins_outputs_or_says_why_not(name):
    task = TASKS.resolve(name)
    if task.generates:
        with pytest.raises(ConfigError, match=f"{name} has no ensembles"):
            join(task, LOGITS, "average")
    else:
        assert join(task, LOGITS, "average").shape == LOGITS.shape[1:]


def test_thresholds_are_averaged():
    ours, theirs = (MultiLabel(thresholds=given) for given in ((0.2, 0.4), (0.4, 0.8)))
    assert agreed([ours, theirs]).thresholds == pytest.approx((0.3, 0.6))
    with pytest.raises(ConfigError, match="tasks differ: separator"):
        agreed([ours, MultiLabel(thresholds=(0.1, 0.2), separator=";")])


def test_what_only_the_loss_reads_may_differ():
    one, other = (
        TASKS.resolve({"name": "text_classification", "class_weights": given})
        for given in ("balanced", None)
    )
    assert agreed([one, other]) is one
    with pytest.raises(ConfigError, match="tasks differ"):
        agreed([one, TASKS.resolve("regression")])
