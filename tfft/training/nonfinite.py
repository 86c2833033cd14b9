"""Finds what made a step infinite or not a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.core.errors import DivergedError

_SHOWN = 5


def nonfinite(
    model: Any,
    parts: Sequence[Any],
    describe: Callable[[list[int]], str] | None,
) -> DivergedError:
    """Returns the error for a step that is not finite, with its rows and its cause.

    Each row is computed again on its own, which costs time only if a step fails.

    Args:
        model: The `TrainingModel` in its state before the step.
        parts: The batch dicts of this process' replicas.
        describe: Returns the names by which users know rows. Defaults to their
            numbers.
    """
    position = model.position
    broken = [v.path for v in model.weights if not np.isfinite(np.array(v)).all()]
    rows: list[int] = []
    variable = ""
    for part in parts:
        for index in range(next(iter(part.values())).shape[0]):
            row = {name: value[index : index + 1] for name, value in part.items()}
            culprit = _culprit(model, row)
            if culprit is not None:
                rows.append(int(row["row_ids"][0]) if "row_ids" in row else index)
                variable = variable or culprit
    names = describe(rows) if describe else ", ".join(map(str, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    found = f"; first seen in {variable}" if variable else ""
    if broken:
        found = f"; the weight {broken[0]} was not finite before the step"
    return DivergedError(
        "the loss or its gradient is not a finite number",
        where=f"epoch {position.epoch + 1}, step {position.step + 1}"
        + (f", rows {names}{more}" if rows else ", no single row")
        + found,
        fix="lower learning_rate, look at these rows, or set on_nan=skip; "
        "the weights before that step are in the run folder",
    )


def _culprit(model: Any, row: Any) -> str | None:
    """Returns where a single row is not finite: the loss, or a variable's gradient."""
    former, model.accumulation = model.accumulation, 1
    try:
        loss, _, gradients = model.sums(row)
    finally:
        model.accumulation = former
    if not np.isfinite(float(loss)):
        return "the loss"
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        if not bool(tf.reduce_all(tf.math.is_finite(gradient))):
            return f"the gradient of {variable.path}"
    return None
