"""The report of a language model: how likely the right tokens were to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.report import REPORTS, Report, ReportTable


@REPORTS.register("language_modelling")
@dataclass(frozen=True)
class LanguageModellingReport(Report):
    """Scores over all tokens that were to be predicted, each counted once.

    Attributes:
        summary: Mean loss in nats, its exponential, the share of tokens that were
            the likeliest, and their number.
        notes: What was left out, a sentence each.
    """

    monitor = ("loss", False)

    summary: dict[str, float]
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls, probabilities: np.ndarray, gold: Any, labels: Sequence[Any]
    ) -> LanguageModellingReport:
        """Returns the report of losses and hits.

        Args:
            probabilities: -log p of each token, and whether it was the likeliest;
                shape (tokens, 2).
            gold: Nothing: what was right is in them.
            labels: None.

        >>> scores = np.array([[0.0, 1.0], [math.log(4), 0.0]])
        >>> LanguageModellingReport.make(scores, None, ()).metrics["perplexity"]
        2.0
        """
        loss, accuracy = probabilities.astype("float64").mean(axis=0)
        return cls(
            {
                "loss": float(loss),
                "perplexity": math.exp(min(loss, 700)),
                "token_accuracy": float(accuracy),
                "tokens": float(len(probabilities)),
            }
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Loss, perplexity and token accuracy."""
        return {name: value for name, value in self.summary.items() if name != "tokens"}

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {"summary": self.summary, "notes": list(self.notes)}

    def tables(self) -> list[ReportTable]:
        """Returns the scores."""
        rows = [(name, f"{value:.4f}") for name, value in self.metrics.items()]
        rows.append(("tokens", f"{self.summary['tokens']:,.0f}"))
        return [ReportTable("scores", ("", "value"), tuple(rows))]
