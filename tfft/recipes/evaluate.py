"""Scores a model before any fine-tuning."""

from __future__ import annotations

from typing import Any

from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError
from tfft.data.rows import OnBadRows
from tfft.evaluation.report import Report
from tfft.methods.method import METHODS
from tfft.models.pretrained import load_pretrained
from tfft.runs.build import build
from tfft.runs.predictor import Predictor
from tfft.tasks.task import TASKS, Task


def evaluate(
    model: Any,
    data: Any,
    *,
    task: Any = "causal_lm",
    tokenizer: Any = None,
    on_bad_rows: OnBadRows = "error",
) -> Report:
    """Returns the report of a model before fine-tuning: the baseline of a training.

    Args:
        model: A Hugging Face folder, a KerasHub preset name or folder, or in Python
            a KerasHub backbone.
        data: Anything that holds rows; from several splits, the test split.
        task: Name or object of a task that needs no new head, such as `causal_lm`.
        tokenizer: The tokenizer of a bare backbone.
        on_bad_rows: What to do with unusable rows.

    Raises:
        ConfigError: For a task whose head has to be trained first.
        DataError: For unusable rows.
    """
    check_environment()
    resolved: Task = TASKS.resolve(task)
    pretrained = load_pretrained(model, tokenizer)
    resolved, _ = resolved.suited_to(pretrained)
    if not resolved.brings_all:
        raise ConfigError(
            f"{resolved.name} has a head that only training makes",
            expected="a task that a model brings everything for: causal_lm",
            fix="fine-tune, then evaluate the run",
        )
    built = build(resolved, METHODS.resolve("full"), pretrained, (), seed=0)
    return Predictor(built, resolved, ()).evaluate(data, on_bad_rows)
