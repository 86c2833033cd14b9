"""Times a few real steps of a training."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.checkpoints.training_state import TrainingState
from tfft.data.batching import Batches, Examples, bucket_length
from tfft.data.numbered import numbered_dataset
from tfft.evaluation.frozen_layers import FrozenLayers
from tfft.fitting.cost import count
from tfft.fitting.frozen import choose_split
from tfft.fitting.network import Plan
from tfft.fitting.optimize import training_model

_STEPS = 3


@dataclass(frozen=True)
class Times:
    """Times and sizes of a training.

    Attributes:
        once: Seconds for the states of frozen layers, before the first epoch.
        kept: Bytes of these states.
        step: Seconds of a step, on average.
        epoch: Seconds of an epoch and its validation.
        note: Why frozen layers are not computed once, when dropout prevents it.
        checkpoint: Bytes of a checkpoint.
    """

    once: float
    kept: int
    step: float
    epoch: float
    note: str
    checkpoint: int


def probe(plan: Plan, validation: Examples | None) -> Times:
    """Returns the times of a training; changes the weights of its network.

    Args:
        plan: The training, its network in the precision of the training.
        validation: The validation rows, if any.
    """
    network, config, batches = plan.network.built.network, plan.config, plan.batches
    lengths = _lengths(batches)
    order = np.argsort(lengths, kind="stable")
    rows = [batches.rows()[index] for index in (order[len(order) // 2], order[-1])]
    few = batches.examples.select(np.concatenate(rows))
    once, kept = 0.0, 0
    split, note = choose_split(plan.network, config.cache_frozen, config.epochs)
    if split is not None:
        prefix = FrozenLayers(split)
        everything = [batches.examples, *([validation] if validation else [])]
        kept = sum(map(prefix.size, everything))
        prefix.states(few, None)  # traces
        seconds, states = _timed(lambda: prefix.states(few, None))
        tokens = sum(int(one.lengths.sum()) for one in everything)
        once = seconds * tokens / int(few.lengths.sum())
        network, few = split.rest, states
    ours = batches.of(few)
    ends = np.cumsum([0, *map(len, rows)])
    parts = [ours.batch(np.arange(*ends[i : i + 2])) for i in range(2)]
    model = _model(network, plan)
    seconds_of = _steps(model, ours, parts)
    known = [float(part["padding_mask"].shape[1]) for part in parts]
    steps = np.interp(lengths, [0.0, *known], [0.0, *seconds_of])
    epoch = float(steps.sum())
    if validation:
        forward = _forward(network, parts[0]) / parts[0]["padding_mask"].size
        epoch += forward * batches.of(validation).tokens()[1]
    return Times(once, kept, float(steps.mean()), epoch, note, _checkpoint(model))


def _lengths(batches: Batches) -> np.ndarray:
    """Returns the padded length of each batch of an epoch."""
    real = batches.examples.lengths
    return np.array([bucket_length(int(real[rows].max())) for rows in batches.rows()])


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def _model(network: Any, plan: Plan) -> Any:
    """Returns a model whose steps take as long as those of the training."""
    # Its rate has no effect on the time; and a test step must not stop.
    config = dataclasses.replace(plan.config, on_nan="skip")
    loss, policy = plan.rows.task.loss, plan.policy
    return training_model(network, loss, config, policy, schedule=1e-6)


def _checkpoint(model: Any) -> int:
    """Returns the bytes of a checkpoint, the best weights so far included."""
    best = 4 * count(model.trainable_variables)
    return TrainingState.of(model).size + best


def _steps(
    model: Any, batches: Batches, parts: list[dict[str, np.ndarray]]
) -> list[float]:
    """Returns the seconds of a step on each batch, without the one that traces."""
    import keras

    each = 1 + _STEPS
    steps = list(itertools.chain(*([part] * each for part in parts)))
    data = numbered_dataset(
        lambda number: steps[number % len(steps)], batches.dataset().element_spec
    )
    marks: list[float] = []
    mark = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: marks.append(time.perf_counter())
    )
    model.fit(
        data,
        steps_per_epoch=len(steps),
        shuffle=False,
        verbose=0,
        callbacks=[mark],
    )
    return [
        float(np.median(np.diff(marks[index * each : (index + 1) * each])))
        for index in range(len(parts))
    ]


def _forward(network: Any, batch: dict[str, np.ndarray]) -> float:
    """Returns the seconds of a forward pass."""
    import tensorflow as tf

    inputs = {name: tf.constant(batch[name]) for name in network.input}
    call = tf.function(lambda: network(inputs, training=False))
    call()
    return min(_timed(lambda: np.asarray(call()))[0] for _ in range(2))
