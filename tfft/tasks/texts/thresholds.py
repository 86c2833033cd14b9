"""Finds the threshold with the best F1 for a yes-or-no decision."""

from __future__ import annotations

import numpy as np

_PLAIN = 0.5


def best_f1_threshold(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Returns the threshold of the highest F1; 0.5 without positive rows.

    It lies between two probabilities, so that rounding moves no row across it. Among
    equally good thresholds, it is the highest.

    Args:
        probabilities: Shape (rows,).
        right: 1 for rows to find, otherwise 0, shape (rows,).

    >>> best_f1_threshold(np.array([0.1, 0.3, 0.7]), np.array([0, 1, 1]))
    0.2
    """
    if not right.any():
        return _PLAIN
    order = np.argsort(-probabilities, kind="stable")
    descending = probabilities[order].astype("float64")
    found = np.cumsum(right[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + right.sum())
    # Rows with equal probabilities are found together.
    last = np.append(np.diff(descending) < 0, True)
    best = int(np.where(last, f1, -1).argmax())
    below = descending[best + 1] if best + 1 < len(order) else 0.0
    return float((descending[best] + below) / 2)
