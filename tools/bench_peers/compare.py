"""Computes medians and ratios, and checks that the peers did the same work."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Run = Mapping[str, Any]


class UnequalWorkError(Exception):
    """The peers did not do the same work, so their figures must not be compared."""


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    Attributes:
        key: Its name in a run's `figures`.
        title: Its name in the table, with the unit.
        higher_is_better: Its direction.
    """

    key: str
    title: str
    higher_is_better: bool = False

    def ratio(self, ours: float, theirs: float) -> float:
        """Returns how many times better tfft's value is.

        >>> Figure("seconds", "s").ratio(2.0, 6.0)
        3.0
        >>> Figure("tokens", "tokens/s", higher_is_better=True).ratio(2.0, 6.0)
        0.3333333333333333
        """
        return ours / theirs if self.higher_is_better else theirs / ours


@dataclass(frozen=True)
class MustMatch:
    """The values that must be the same for all peers.

    Attributes:
        work: The largest relative difference for each name in a run's `work`; 0 demands
            equality, of words too.
        quality: The same for each name in `quality`.
    """

    work: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)

    def check(self, runs: Mapping[str, Sequence[Run]]) -> None:
        """Checks that all runs did the same work.

        Args:
            runs: The runs of each peer.

        Raises:
            UnequalWorkError: With the value that differs, and the allowed difference.
        """
        faults = []
        for part, limits in (("work", self.work), ("quality", self.quality)):
            for name, limit in limits.items():
                values = {peer: _value(of, part, name) for peer, of in runs.items()}
                if not _match(list(values.values()), limit):
                    by_peer = ", ".join(
                        f"{peer} {_said(one)}" for peer, one in values.items()
                    )
                    faults.append(f"{name}: {by_peer} (may differ by {limit:.0%})")
        if faults:
            raise UnequalWorkError("; ".join(faults))


def median(runs: Sequence[Run], part: str, name: str) -> float:
    """Returns the median of a number over several runs.

    >>> median([{"figures": {"s": n}} for n in (1, 9, 2)], "figures", "s")
    2
    """
    return statistics.median(run[part][name] for run in runs)


def _value(runs: Sequence[Run], part: str, name: str) -> Any:
    values = [run[part].get(name) for run in runs]
    if any(isinstance(one, str) or one is None for one in values):
        return values[0] if len(set(values)) == 1 else "/".join(map(str, values))
    return median(runs, part, name)


def _said(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _match(values: Sequence[Any], limit: float) -> bool:
    if any(isinstance(one, str) or one is None for one in values):
        return None not in values and len(set(values)) == 1
    if not all(map(math.isfinite, values)):
        return False
    largest = max(map(abs, values))
    return max(values) - min(values) <= limit * largest
