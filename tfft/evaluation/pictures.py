"""Pictures of a report or a learning curve, as PNG files in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfft.evaluation.calibration import Calibration
from tfft.evaluation.details import Curve
from tfft.evaluation.report import Report

_SIZE = (4.6, 4.0)
# Space for labels on the left and below; computing a layout takes twice as long.
_FRAME = (0.24, 0.22, 0.72, 0.7)
_MOST_LABELS = 30


def pictures(report: Report) -> dict[str, bytes]:
    """Returns the pictures of a report by title: those that it has data for.

    Args:
        report: A report with details.
    """
    found: dict[str, bytes] = {}
    matrix = report.matrix()
    if matrix and len(matrix[0]) <= _MOST_LABELS:
        found["Confusion matrix"] = drawn(lambda axes: _confusion(axes, *matrix))
    details = report.details
    if details and details.calibration:
        calibration = details.calibration
        found["Reliability"] = drawn(lambda axes: _reliability(axes, calibration))
    if details and details.curves:
        curves = details.curves
        found["ROC"] = drawn(lambda axes: _roc(axes, curves))
        found["Precision and recall"] = drawn(lambda axes: _recall(axes, curves))
    return found


def drawn(draw: Any) -> bytes:
    """Returns a PNG of what a function draws on matplotlib axes."""
    # pyplot would keep every figure and look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=90)
    FigureCanvasAgg(figure)
    draw(figure.add_axes(_FRAME))
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _plain(label: str) -> str:
    """Returns a label without characters that matplotlib interprets."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in label[:24])
    return text.replace("$", r"\$")


def _confusion(axes: Any, labels: tuple[str, ...], counts: np.ndarray) -> None:
    rows = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(counts / rows, cmap="Blues", vmin=0, vmax=1)
    names, at = [_plain(label) for label in labels], range(len(labels))
    axes.set_xticks(at, names, rotation=90)
    axes.set_yticks(at, names)
    axes.set_xlabel("answer")
    axes.set_ylabel("right")
    if len(labels) <= 10:
        for row, column in np.ndindex(counts.shape):
            dark = counts[row, column] > 0.5 * rows[row, 0]
            axes.text(
                column, row, f"{counts[row, column]:,}", ha="center", va="center",
                color="white" if dark else "black",
            )  # fmt: skip


def _reliability(axes: Any, found: Calibration) -> None:
    axes.plot([0, 1], [0, 1], ":", color="gray")
    axes.plot(found.confidence, found.accuracy, "o-")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence", ylabel="accuracy")
    axes.set_title(f"expected calibration error {found.error:.3f}", fontsize=9)


def _roc(axes: Any, curves: dict[str, Curve]) -> None:
    for label, one in curves.items():
        axes.plot(*one.roc, label=f"{_plain(label)} {one.auc:.3f}")
    axes.set(xlabel="share of false positives", ylabel="share of true positives")
    axes.legend(fontsize=7, title="area")


def _recall(axes: Any, curves: dict[str, Curve]) -> None:
    for label, one in curves.items():
        name = f"{_plain(label)} {one.average_precision:.3f}"
        axes.plot(*one.precision_recall, label=name)
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend(fontsize=7, title="average precision")


def draw_learning_curve(
    rows: Sequence[int],
    scores: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    metric: str,
) -> bytes:
    """Returns a PNG of the score against the number of rows, on a logarithmic axis.

    Args:
        rows: Number of training rows of each point.
        scores: The score of each point.
        intervals: The ends of the 95 % interval of each score.
        metric: The name of the score.
    """
    from matplotlib.ticker import NullFormatter

    def draw(axes: Any) -> None:
        low, high = np.transpose(intervals)
        axes.fill_between(rows, low, high, alpha=0.2, label="95 %")
        axes.plot(rows, scores, "o-", label=metric)
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{count:,}" for count in rows])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="training rows", ylabel=metric)
        axes.legend(fontsize=7)

    return drawn(draw)
