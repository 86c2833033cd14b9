"""The most likely valid sequence of labels."""

from __future__ import annotations

import numpy as np


def viterbi(log_p: np.ndarray, first: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Returns the valid path with the largest sum (Viterbi, 1967).

    Args:
        log_p: Log probability of each label at each position, shape (positions,
            labels).
        first: Whether a label may come first, shape (labels,).
        follows: Whether label j may follow label i, shape (labels, labels).

    Returns:
        Label ids, shape (positions,). At least one valid path must exist.

    >>> p = np.log([[0.6, 0.4], [0.1, 0.9]])  # label 1 may only follow itself
    >>> viterbi(p, np.array([True, True]), np.array([[True, False], [True, True]]))
    array([1, 1])
    """
    places = len(log_p)
    if not places:
        return np.zeros(0, "int64")
    penalty = np.where(follows, 0.0, -np.inf)
    best = np.where(first, log_p[0], -np.inf)
    back = np.zeros(log_p.shape, "int64")
    for place in range(1, places):
        through = best[:, None] + penalty
        back[place] = through.argmax(axis=0)
        best = through.max(axis=0) + log_p[place]
    path = np.empty(places, "int64")
    path[-1] = best.argmax()
    for place in range(places - 1, 0, -1):
        path[place - 1] = back[place, path[place]]
    return path
