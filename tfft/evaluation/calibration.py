"""Calibration: whether answers with 80 % confidence are right 80 times in 100."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Confidence and accuracy in ten bins of equal width; empty bins are left out.

    Attributes:
        error: The expected calibration error (Guo et al., 2017, arXiv:1706.04599):
            the mean distance between the two, weighted by the answers of each bin.
        confidence: Mean confidence of the answers in each bin.
        accuracy: Share of right answers in each bin.
        answers: Number of answers in each bin.
    """

    error: float
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    answers: tuple[int, ...]


def calibrate(confidences: np.ndarray, hits: np.ndarray) -> Calibration:
    """Returns how well confidence predicts accuracy.

    Args:
        confidences: From 0 to 1, shape (answers,).
        hits: Whether each answer is right, shape (answers,).

    >>> calibrate(np.array([0.75, 0.75, 0.25]), np.array([1, 0, 0])).error
    0.25
    """
    bins = np.minimum((confidences * _BINS).astype("int64"), _BINS - 1)
    used = np.unique(bins)
    counts = [int((bins == one).sum()) for one in used]
    sure = [float(confidences[bins == one].mean()) for one in used]
    right = [float(hits[bins == one].mean()) for one in used]
    distances = [abs(a - b) for a, b in zip(sure, right, strict=True)]
    error = float(np.average(distances, weights=counts)) if counts else 0.0
    return Calibration(error, tuple(sure), tuple(right), tuple(counts))
