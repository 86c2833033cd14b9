"""Each class is split by the same share; copies of a text stay together."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tfft.core.errors import ConfigError
from tfft.data.splits import check_fraction, shared, stratified_part


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_share_is_exact_in_every_class(fraction, seed):
    labels = ["a"] * 100 + ["b"] * 20 + ["c"] * 40
    random.Random(seed).shuffle(labels)
    first, second = stratified_part(labels, range(160), fraction, seed)
    assert sorted(first + second) == list(range(160))
    assert (first, second) == (sorted(first), sorted(second))
    counts = Counter(labels[row] for row in second)
    expected = {"a": 100 * fraction, "b": 20 * fraction, "c": 40 * fraction}
    assert {label: counts[label] for label in "abc"} == expected


@pytest.mark.parametrize(("rows", "expected"), [(13, 1), (14, 1), (16, 2), (27, 3)])
def test_other_sizes_are_rounded_to_the_nearest_row(rows, expected):
    _, second = stratified_part("a" * rows, range(rows), 0.1, seed=3)
    assert len(second) == expected


def test_copies_stay_together():
    generator = random.Random(0)
    keys = [generator.randrange(60) for _ in range(300)]
    labels = [key % 3 for key in keys]
    first, second = stratified_part(labels, keys, 0.2, seed=5)
    assert shared([keys[row] for row in first], [keys[row] for row in second]) == 0
    totals, taken = Counter(labels), Counter(labels[row] for row in second)
    largest = max(Counter(keys).values())
    for label, total in totals.items():
        assert 0.2 * total - largest < taken[label] <= 0.2 * total + 0.5


def test_copies_with_different_labels_stay_together_too():
    labels, keys = ["a", "b"] * 50, [row // 2 for row in range(100)]
    first, second = stratified_part(labels, keys, 0.3, seed=1)
    assert len(second) == 30
    assert {keys[row] for row in first} & {keys[row] for row in second} == set()


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.89])
def test_a_class_of_one_row_stays_in_the_first_part(fraction):
    labels = ["rare", *"a" * 20]
    for seed in range(10):
        first, _ = stratified_part(labels, range(21), fraction, seed)
        assert 0 in first


def test_copies_of_one_text_are_never_all_taken():
    first, second = stratified_part("aaaa", ["same"] * 4, 0.8, seed=0)
    assert (first, second) == ([0, 1, 2, 3], [])


def test_the_seed_decides_and_nothing_else():
    labels = ["a", "b", "b", "c"] * 25
    parts = [stratified_part(labels, range(100), 0.2, seed) for seed in (1, 1, 2)]
    assert parts[0] == parts[1]
    assert parts[0][1] != parts[2][1]


def test_a_further_class_moves_no_row_of_another():
    _, before = stratified_part("a" * 50, range(50), 0.2, seed=1)
    _, after = stratified_part("a" * 50 + "b" * 50, range(100), 0.2, seed=1)
    assert [row for row in after if row < 50] == before


def test_every_row_can_be_drawn():
    drawn = Counter()
    for seed in range(200):
        drawn.update(stratified_part("a" * 10, range(10), 0.2, seed)[1])
    # Each row is drawn 40 times on average, standard deviation below 6.
    assert min(drawn[row] for row in range(10)) > 15


@pytest.mark.parametrize("fraction", [0, 0.0, 0.5, 0.899])
def test_shares_that_make_sense(fraction):
    assert check_fraction(fraction, "validation") is None


@pytest.mark.parametrize("fraction", [-0.1, 0.9, 1, 10, float("nan")])
def test_shares_that_make_none(fraction):
    with pytest.raises(ConfigError) as caught:
        check_fraction(fraction, "validation")
    assert caught.value.what == f"validation={fraction}"
    assert caught.value.fix == "validation=0.1 holds out a tenth"


def test_shared_counts_rows_of_the_second_part():
    assert shared(["a", "b"], ["b", "c", "b"]) == 2
    assert shared([], ["a"]) == 0
