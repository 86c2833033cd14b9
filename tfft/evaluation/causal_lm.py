"""The report of a language model: the probability of the right tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, ratio
from tfft.evaluation.metrics import falling, rising
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.tables import ReportTable

_LARGEST_LOSS = 700.0  # the exponential of a larger one overflows


@REPORTS.register("causal_lm")
@dataclass(frozen=True)
class CausalLMReport(Report):
    """Scores over all tokens that count for the loss, each counted once.

    Attributes:
        summary: Mean loss in nats, perplexity, the share of tokens that are the most
            probable, and the number of tokens.
        notes: One sentence for each thing that the scores hide.
        details: Intervals, slices and worst rows.
    """

    described = (
        falling("loss", "mean of −log p of the right token"),
        falling("perplexity", "exp(loss)"),
        rising("token_accuracy", "share of tokens that are the most probable"),
    )
    monitor = described[0].monitor

    summary: dict[str, float]
    notes: tuple[str, ...] = ()
    details: Details | None = None

    @classmethod
    def make(
        cls, predictions: np.ndarray, gold: Any, labels: Sequence[Any]
    ) -> CausalLMReport:
        """Returns the report.

        Args:
            predictions: For each row the sum of -log p, the number of tokens that
                are the most probable, and the number of tokens; shape (rows, 3).
            gold: Not used: the predictions already compare with the right tokens.
            labels: Not used.

        >>> rows = np.array([[0.0, 1.0, 1.0], [np.log(4), 0.0, 1.0]])
        >>> round(CausalLMReport.make(rows, None, ()).metrics["perplexity"], 6)
        2.0
        """
        sums = predictions.sum(axis=0)
        scores = {name: float(value) for name, value in _scores(sums).items()}
        return cls({**scores, "tokens": float(sums[2])})

    @classmethod
    def evidence(
        cls, predictions: np.ndarray, gold: Any, labels: Sequence[Any]
    ) -> Evidence:
        """Returns the statistics of each row. The arguments are those of `make`."""
        means = ratio(predictions[:, 0], predictions[:, 2])
        return Evidence(
            predictions,
            _scores,
            badness=means,
            right=[f"{count:.0f} tokens" for count in predictions[:, 2]],
            answers=[f"loss {mean:.2f}" for mean in means],
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Loss, perplexity and token accuracy."""
        return {name: value for name, value in self.summary.items() if name != "tokens"}

    def scores(self) -> dict[str, Any]:
        """Returns the scores as plain values."""
        return {"summary": self.summary}

    def tables(self) -> list[ReportTable]:
        """Returns the table of scores."""
        rows = [(name, f"{value:.4f}") for name, value in self.metrics.items()]
        rows.append(("tokens", f"{self.summary['tokens']:,.0f}"))
        return [ReportTable("scores", ("", "value"), tuple(rows))]


def _scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    loss = ratio(sums[..., 0], sums[..., 2])
    return {
        "loss": loss,
        "perplexity": np.exp(np.minimum(loss, _LARGEST_LOSS)),
        "token_accuracy": ratio(sums[..., 1], sums[..., 2]),
    }
