"""The picture of a learning curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfft.evaluation.pictures import drawn


def draw_learning_curve(
    rows: Sequence[int],
    scores: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    metric: str,
) -> bytes:
    """Returns a PNG of the score against the number of rows, which is logarithmic.

    Args:
        rows: Training rows of each point.
        scores: Its score.
        intervals: Where the score's 95 % interval begins and ends.
        metric: What the score is called.
    """
    from matplotlib.ticker import NullFormatter

    def draw(axes: object) -> None:
        low, high = np.transpose(intervals)
        axes.fill_between(rows, low, high, alpha=0.2, label="95 %")
        axes.plot(rows, scores, "o-", label=metric)
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{count:,}" for count in rows])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="training rows", ylabel=metric)
        axes.legend(fontsize=7)

    return drawn(draw)
