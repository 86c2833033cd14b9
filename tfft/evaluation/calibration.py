"""Whether answers of which a model is 80 % sure are right in 80 of 100 cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy, in ten parts of equal width.

    Attributes:
        error: The expected calibration error (Guo et al., 2017, arXiv:1706.04599):
            the mean distance of the two, weighted by answers.
        confidence: Mean confidence of the answers in each part that has any.
        accuracy: Share of them that is right.
        answers: Their number.
    """

    error: float
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    answers: tuple[int, ...]


def calibrate(confidences: np.ndarray, hits: np.ndarray) -> Calibration:
    """Returns how well confidence foretells accuracy.

    Args:
        confidences: From 0 to 1, shape (answers,).
        hits: Whether the answer was right, alike.

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
