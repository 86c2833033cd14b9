"""Draws a search: two options as axes, the score as color."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from tfft.tuning.distributions import LogUniform
from tfft.tuning.space import METHOD, Space
from tfft.tuning.trials import Trial

_FIRST = ("learning_rate", METHOD + "rank")


def axes_of(space: Space) -> list[str]:
    """Returns the one or two options to draw, among those with numbers as values.

    Learning rate and rank come first.
    """
    known = space.numeric
    return [*(n for n in _FIRST if n in known), *(n for n in known if n not in _FIRST)][
        :2
    ]


def draw(trials: Sequence[Trial], space: Space, objective: str) -> bytes | None:
    """Returns the picture as PNG; None when no searched option is a number.

    Args:
        trials: The trials; those without a score are left out.
        space: The search space.
        objective: The name of the objective.
    """
    names = axes_of(space)
    drawn = [
        one
        for one in trials
        if one.score is not None and all(name in one.values for name in names)
    ]
    if not names or not drawn:
        return None
    # pyplot would keep every figure and look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.2), dpi=90)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.14, 0.14, 0.82, 0.78))
    x = [one.values[names[0]] for one in drawn]
    scores = [one.score for one in drawn]
    if len(names) == 1:
        axes.plot(x, scores, "o")
        axes.set_ylabel(objective)
    else:
        y = [one.values[names[1]] for one in drawn]
        points = axes.scatter(x, y, c=scores, s=70, edgecolors="black")
        figure.colorbar(points, ax=axes, label=objective)
        _scale(axes, "y", names[1], space)
    _scale(axes, "x", names[0], space)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _scale(axes: Any, side: str, name: str, space: Space) -> None:
    axes.set(**{f"{side}label": name})
    if isinstance(space.entries[name], LogUniform):
        axes.set(**{f"{side}scale": "log"})
    if name == _FIRST[1]:  # ranks double
        axes.set(**{f"{side}scale": "symlog"})
