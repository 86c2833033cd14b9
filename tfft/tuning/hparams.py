"""Writes a search for TensorBoard's HParams page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api, api_pb2, summary

from tfft.core.files import storage_errors
from tfft.tuning.distributions import Choice, Distribution, IntRange
from tfft.tuning.space import Space
from tfft.tuning.trials import Trial


def write_space(folder: Path, space: Space, objective: str) -> None:
    """Writes the search space and the objective.

    Args:
        folder: The log folder of the search.
        space: The search space.
        objective: The name of the objective.
    """
    params = [
        api.HParam(name, _domain(one), display_name=name)
        for name, one in space.entries.items()
    ]
    metrics = [api.Metric(objective, display_name=f"validation {objective}")]
    with _writer(folder).as_default():
        api.hparams_config(hparams=params, metrics=metrics)


def write_trial(folder: Path, trial: Trial, objective: str) -> None:
    """Writes a trial: values, learning curve, scores at the best epoch, and status.

    Args:
        folder: The log folder of the search.
        trial: A trial that has ended; a failed one has no scores.
        objective: The name of the objective.
    """
    writer = _writer(folder / trial.name)
    with writer.as_default():
        values = {name: _plain(value) for name, value in trial.values.items()}
        api.hparams(values, trial_id=trial.name)
        for epoch, value in enumerate(trial.history, start=1):
            tf.summary.scalar(f"epoch/{objective}", value, step=epoch)
        scores = {**trial.metrics, objective: trial.score}
        for name, value in scores.items():
            if value is not None:
                tf.summary.scalar(name, value, step=trial.best_epoch)
        failed = trial.score is None
        status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
        ended = summary.session_end_pb(status).SerializeToString()
        tf.summary.experimental.write_raw_pb(ended, step=0)
    writer.close()


def _writer(folder: Path) -> Any:
    with storage_errors(folder):
        return tf.summary.create_file_writer(str(folder))


def _domain(one: Distribution) -> Any:
    if isinstance(one, IntRange):
        return api.IntInterval(one.low, one.high)
    if isinstance(one, Choice):
        return api.Discrete([_plain(value) for value in one.values], dtype=_kind(one))
    return api.RealInterval(float(one.low), float(one.high))


def _kind(one: Choice) -> type:
    kinds = {type(_plain(value)) for value in one.values}
    return kinds.pop() if len(kinds) == 1 else str


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
