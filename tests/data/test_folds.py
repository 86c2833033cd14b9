"""Every row in one fold, groups whole, classes in proportion."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from tfft.core.errors import ConfigError
from tfft.core.seeds import derive
from tfft.data.folds import k_folds, merged_groups


def test_folds_are_scikit_learns():
    strata = list("aab" * 20)
    splitter = StratifiedKFold(5, shuffle=True, random_state=derive(3, "folds"))
    expected = [test.tolist() for _, test in splitter.split(strata, strata)]
    assert k_folds(strata, range(60), 5, seed=3) == expected
    assert k_folds(strata, range(60), 5, seed=4) != expected


def test_groups_are_whole_and_every_row_is_in_one_fold():
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 300).tolist()
    strata = random.choice(["ham", "spam"], 300, p=[0.7, 0.3]).tolist()
    folds = k_folds(strata, groups, 5, seed=0)
    assert sorted(row for fold in folds for row in fold) == list(range(300))
    homes = Counter(group for fold in folds for group in {groups[row] for row in fold})
    assert set(homes.values()) == {1}
    shares = [np.mean([strata[row] == "spam" for row in fold]) for fold in folds]
    # Groups of 5 rows cannot be shared out exactly.
    assert np.ptp(shares) < 0.1


def test_strata_rarer_than_folds_are_no_obstacle():
    strata = ["a"] * 17 + ["b", "b", "c"]
    folds = k_folds(strata, range(20), 5, seed=0)
    assert [len(fold) for fold in folds] == [4] * 5
    everyone_rare = k_folds(range(10), range(10), 5, seed=0)
    assert [len(fold) for fold in everyone_rare] == [2] * 5


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(ConfigError, match=r"folds=5 with 2 groups.*20 rows.*fewer"):
        k_folds("a" * 20, [0, 1] * 10, 5, seed=0)


def test_rows_that_share_any_key_are_together():
    texts = ["x", "y", "x", "z", "w"]
    threads = [1, 1, 2, 2, 3]
    assert merged_groups(texts, threads) == [0, 0, 0, 0, 1]
    assert merged_groups(texts) == [0, 1, 0, 2, 3]
