"""Describes a metric: its name, direction, formula and the library that defines it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One figure of a report.

    Each report lists its metrics next to the code that computes them. Nothing else in
    tfft states which direction of a metric is better.

    Attributes:
        name: The key in `report.metrics`, in logs and in `metrics.jsonl`.
        higher_is_better: Whether a higher value is better.
        formula: The formula, in a few words.
        source: The function of a library that computes it, or `tfft`.
    """

    name: str
    higher_is_better: bool
    formula: str
    source: str = "tfft"

    @property
    def monitor(self) -> tuple[str, bool]:
        """Name and direction, for what looks for the best epoch."""
        return self.name, self.higher_is_better


def rising(name: str, formula: str, source: str = "tfft") -> Metric:
    """Returns a metric whose higher values are better."""
    return Metric(name, True, formula, source)


def falling(name: str, formula: str, source: str = "tfft") -> Metric:
    """Returns a metric whose lower values are better."""
    return Metric(name, False, formula, source)
