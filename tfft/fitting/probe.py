"""How long a training takes, from a few real steps of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.data.batching import Batches, Examples, bucket_length
from tfft.data.numbered import numbered_dataset
from tfft.evaluation.frozen_layers import FrozenLayers
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.frozen import choose_split

_STEPS = 3


@dataclass(frozen=True)
class Times:
    """Seconds, and the bytes of the states that are computed once.

    Attributes:
        once: For these states, before the first epoch.
        kept: Their bytes.
        step: Of a step, on average.
        epoch: Of an epoch and its validation.
        note: Why frozen layers are not computed once, when dropout prevents it.
    """

    once: float
    kept: int
    step: float
    epoch: float
    note: str


def probe(
    network: Any,
    objective: Callable[[Any, Any], tuple[Any, Any]],
    batches: Batches,
    validation: Examples | None,
    config: FinetuneConfig,
    policy: str,
) -> Times:
    """Returns the times of a training; changes the weights of the network.

    Args:
        network: The network in the precision of the training.
        objective: Maps outputs and batch to the sums of losses and weights.
        batches: The training rows.
        validation: The validation rows, if any.
        config: The options of the training.
        policy: In what numbers the network computes.
    """
    lengths = _lengths(batches)
    order = np.argsort(lengths, kind="stable")
    rows = [batches.rows()[index] for index in (order[len(order) // 2], order[-1])]
    few = batches.examples.select(np.concatenate(rows))
    once, kept = 0.0, 0
    split, note = choose_split(network, config.cache_frozen, config.epochs)
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
    seconds_of = _steps(network, objective, ours, parts, config, policy)
    known = [float(part["padding_mask"].shape[1]) for part in parts]
    steps = np.interp(lengths, [0.0, *known], [0.0, *seconds_of])
    epoch = float(steps.sum())
    if validation:
        forward = _forward(network, parts[0]) / parts[0]["padding_mask"].size
        epoch += forward * batches.of(validation).tokens()[1]
    return Times(once, kept, float(steps.mean()), epoch, note)


def _lengths(batches: Batches) -> np.ndarray:
    """Returns the padded length of each batch of an epoch."""
    real = batches.examples.lengths
    return np.array([bucket_length(int(real[rows].max())) for rows in batches.rows()])


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def _steps(
    network: Any,
    objective: Callable[[Any, Any], tuple[Any, Any]],
    batches: Batches,
    parts: list[dict[str, np.ndarray]],
    config: FinetuneConfig,
    policy: str,
) -> list[float]:
    """Returns the seconds of a step on each batch, the first one's tracing aside."""
    import keras

    model = _model(network, objective, config, policy)
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


def _model(
    network: Any,
    objective: Callable[[Any, Any], tuple[Any, Any]],
    config: FinetuneConfig,
    policy: str,
) -> Any:
    """Returns a model whose steps cost what those of the training will."""
    from tfft.training.hardware import choose_compilation
    from tfft.training.loss_scale import LossScale
    from tfft.training.optimizer import make_optimizer
    from tfft.training.step import TrainingModel

    model = TrainingModel(
        network,
        objective,
        clip_norm=config.clip_norm,
        accumulation=config.accumulation,
        on_nan="skip",
        loss_scale=LossScale() if policy == "mixed_float16" else None,
    )
    optimizer = make_optimizer(
        config.optimizer,
        model.trainable_variables,
        learning_rate=1e-6,  # the times of a step count, not its effect
        weight_decay=config.weight_decay,
        ema=config.ema,
    )
    compiled = choose_compilation(config.compile_step)
    model.compile(optimizer=optimizer, jit_compile=compiled)
    return model


def _forward(network: Any, batch: dict[str, np.ndarray]) -> float:
    """Returns the seconds of a forward pass."""
    import tensorflow as tf

    inputs = {name: tf.constant(batch[name]) for name in network.input}
    call = tf.function(lambda: network(inputs, training=False))
    call()
    return min(_timed(lambda: np.asarray(call()))[0] for _ in range(2))
