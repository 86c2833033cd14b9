"""Mean, spread and the paired test, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tfft.evaluation.spread import corrected_t_test, gain, spread_of

FIRST, SECOND = [0.81, 0.79, 0.90, 0.75, 0.84], [0.85, 0.80, 0.91, 0.82, 0.83]


def test_the_spread_is_that_of_the_sample():
    found = spread_of([{"f1": value, "rows": 4.0} for value in FIRST])["f1"]
    assert found.mean == pytest.approx(np.mean(FIRST), abs=1e-15)
    assert found.std == pytest.approx(stats.tstd(FIRST), abs=1e-15)
    assert (found.low, found.high) == (0.75, 0.90)


def test_only_metrics_of_all_are_shown():
    assert list(spread_of([{"f1": 1.0, "auc": 1.0}, {"f1": 1.0}])) == ["f1"]


def test_without_overlap_it_is_the_plain_paired_test():
    found = corrected_t_test(FIRST, SECOND, test_share=0)
    expected = stats.ttest_rel(SECOND, FIRST)
    # The same sums in another order.
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)


def test_overlap_makes_it_less_sure():
    # By hand: differences .04 .01 .01 .07 -.01, mean .024, variance .00098,
    # t = .024 / sqrt((1/5 + 1/4) * .00098).
    found = corrected_t_test(FIRST, SECOND, test_share=1 / 4)
    assert found.difference == pytest.approx(0.024, abs=1e-15)
    assert found.statistic == pytest.approx(0.024 / np.sqrt(0.45 * 0.00098), rel=1e-9)
    assert found.p_value > stats.ttest_rel(SECOND, FIRST).pvalue


def test_equal_scores_differ_by_chance_for_certain():
    same = corrected_t_test(FIRST, FIRST, 1 / 4)
    assert (same.difference, same.p_value) == (0, 1)
    always = corrected_t_test([0.5, 0.5, 0.5], [0.75, 0.75, 0.75], 1 / 2)
    assert (always.difference, always.p_value) == (0.25, 0)


def test_less_error_is_a_gain():
    assert gain("mse", 2.0, 1.5) == 0.5
    assert gain("accuracy", 0.5, 0.75) == 0.25
