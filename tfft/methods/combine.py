"""Combines several low-rank updates into one, like PEFT's `add_weighted_adapter`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from tfft.core.errors import ConfigError

Combination = Literal["linear", "cat", "svd"]


class Factors(NamedTuple):
    """The update s·A·B of one place.

    Attributes:
        a: Shape (in, rank).
        b: Shape (rank, out).
        scale: The factor s.
    """

    a: np.ndarray
    b: np.ndarray
    scale: float

    @property
    def delta(self) -> np.ndarray:
        """The update as a matrix, float64."""
        return self.scale * (self.a.astype("float64") @ self.b.astype("float64"))


def combine(
    updates: Sequence[Factors],
    weights: Sequence[float],
    how: Combination,
    rank: int | None = None,
) -> Factors:
    """Combines several updates into one of scale 1.

    Args:
        updates: The updates of one place, one for each adapter.
        weights: One weight for each update.
        how: `cat` is the exact weighted sum; its rank is the sum of the ranks. `svd`
            is the best approximation of that sum with the given rank. `linear` sums
            the factors, each times the square root of weight and scale, with the sign
            of the weight on A. Because it multiplies the A of one update with the B
            of another, it is PEFT's definition but not the sum of the updates.
        rank: The rank for `svd`. Defaults to the largest rank of the updates.

    Raises:
        ConfigError: For `linear` with updates of different ranks.

    >>> one = Factors(np.ones((2, 1)), np.ones((1, 2)), 2.0)
    >>> combine([one, one], [0.5, 0.25], "cat").delta.tolist()
    [[1.5, 1.5], [1.5, 1.5]]
    """
    return {"linear": _linear, "cat": _cat, "svd": _svd}[how](updates, weights, rank)


def not_low_rank(method: str) -> ConfigError:
    """Returns the error for a method whose adapters cannot be combined."""
    return ConfigError(
        f"{method} adapters cannot be combined",
        where="combine",
        expected="LoRA adapters, without DoRA's magnitudes",
        fix="combine LoRA adapters",
    )


def _linear(
    updates: Sequence[Factors], weights: Sequence[float], rank: int | None
) -> Factors:
    ranks = {update.a.shape[1] for update in updates}
    if len(ranks) > 1:
        raise ConfigError(
            f"how='linear' with ranks {sorted(ranks)}",
            where="combine",
            expected="the same rank for all adapters",
            fix='use how="cat" or how="svd"',
        )
    factors = [weight * one.scale for one, weight in zip(updates, weights, strict=True)]
    roots = [math.sqrt(abs(factor)) for factor in factors]
    signed = [math.copysign(r, f) for r, f in zip(roots, factors, strict=True)]
    a = sum(root * one.a for root, one in zip(signed, updates, strict=True))
    b = sum(root * one.b for root, one in zip(roots, updates, strict=True))
    return Factors(a, b, 1.0)


def _cat(
    updates: Sequence[Factors], weights: Sequence[float], rank: int | None
) -> Factors:
    scaled = [
        one.a * (weight * one.scale)
        for one, weight in zip(updates, weights, strict=True)
    ]
    return Factors(
        np.concatenate(scaled, axis=1),
        np.concatenate([one.b for one in updates], axis=0),
        1.0,
    )


def _svd(
    updates: Sequence[Factors], weights: Sequence[float], rank: int | None
) -> Factors:
    rank = rank or max(one.a.shape[1] for one in updates)
    total = sum(w * one.delta for w, one in zip(weights, updates, strict=True))
    U, S, V = np.linalg.svd(total, full_matrices=False)
    rank = min(rank, len(S))
    return Factors(U[:, :rank], S[:rank, None] * V[:rank], 1.0)
