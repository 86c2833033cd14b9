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
    positions = len(log_p)
    if not positions:
        return np.zeros(0, "int64")
    penalty = np.where(follows, 0.0, -np.inf)
    best = np.where(first, log_p[0], -np.inf)
    back = np.zeros(log_p.shape, "int64")
    for position in range(1, positions):
        through = best[:, None] + penalty
        back[position] = through.argmax(axis=0)
        best = through.max(axis=0) + log_p[position]
    path = np.empty(positions, "int64")
    path[-1] = best.argmax()
    for position in range(positions - 1, 0, -1):
        path[position - 1] = back[position, path[position]]
    return path
