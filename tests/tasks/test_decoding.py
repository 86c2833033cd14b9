"""Viterbi and windows against trying everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfft.tasks.texts.thresholds import best_f1_threshold
from tfft.tasks.tokens.viterbi import viterbi
from tfft.tasks.windows import window_of_tokens


@pytest.mark.parametrize("seed", range(20))
def test_viterbi_finds_the_likeliest_legal_path(seed):
    random = np.random.default_rng(seed)
    log_p = np.log(random.dirichlet(np.ones(3), 5))
    follows = random.random((3, 3)) < 0.6
    np.fill_diagonal(follows, True)
    first = np.array([True, *(random.random(2) < 0.5)])

    def score(path):
        steps = itertools.pairwise(path)
        legal = first[path[0]] and all(follows[a, b] for a, b in steps)
        return sum(log_p[i, label] for i, label in enumerate(path)) if legal else -1e9

    best = max(itertools.product(range(3), repeat=5), key=score)
    assert tuple(viterbi(log_p, first, follows)) == best


def test_viterbi_of_nothing_is_nothing():
    assert viterbi(np.zeros((0, 2)), np.ones(2, bool), np.ones((2, 2), bool)).size == 0


def room(token, start, size, total):
    """Returns how far a token is from an edge where the text goes on."""
    left = token - start if start > 0 else np.inf
    right = start + size - 1 - token if start + size < total else np.inf
    return min(left, right)


@pytest.mark.parametrize(
    ("sizes", "stride"),
    [
        ([5], 0),
        ([5, 5, 5], 2),
        ([6, 6, 4], 3),
        ([4, 4, 2], 0),
        ([8, 8, 8, 5], 4),
        ([0], 2),
    ],
)
def test_each_token_is_in_the_window_with_most_room(sizes, stride):
    windows, places = window_of_tokens(sizes, stride)
    starts = np.cumsum([0, *(size - stride for size in sizes[:-1])])
    total = int(starts[-1] + sizes[-1])
    assert len(windows) == total
    for token in range(total):
        chosen = windows[token]
        assert starts[chosen] + places[token] == token
        rooms = [
            room(token, start, size, total)
            for start, size in zip(starts, sizes, strict=True)
            if start <= token < start + size
        ]
        mine = room(token, starts[chosen], sizes[chosen], total)
        assert mine == max(rooms)


@pytest.mark.parametrize("seed", range(10))
def test_the_best_threshold_is_the_best_of_all(seed):
    from sklearn.metrics import f1_score

    random = np.random.default_rng(seed)
    p = random.integers(1, 20, 40) / 20
    right = (random.random(40) < 0.4).astype(int)
    found = best_f1_threshold(p, right)
    tried = [f1_score(right, p >= t, zero_division=0) for t in np.arange(-1, 42) / 40]
    assert f1_score(right, p >= found) == pytest.approx(max(tried), abs=1e-12)
    assert np.abs(p - found).min() > 0.01  # between two probabilities


def test_a_label_without_rows_keeps_the_plain_threshold():
    assert best_f1_threshold(np.array([0.9, 0.1]), np.zeros(2)) == 0.5
