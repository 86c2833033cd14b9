"""The train step: sums losses, weights and gradients, and divides once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfft.compute.processor import for_processor, on_processor
from tfft.core.signals import uninterrupted
from tfft.training.keras_gaps import DistributedModel
from tfft.training.loss_scale import LossScale
from tfft.training.names import OnNaN
from tfft.training.nonfinite import nonfinite
from tfft.training.position import Position
from tfft.training.sums import (
    Batch,
    Objective,
    gradient_sums,
    in_pieces,
    only_on_first_replica,
    sum_over_replicas,
)


class TrainingModel(DistributedModel):
    """Trains a network on batch dicts with `fit`.

    A step has two halves. The first computes the gradient and changes nothing but
    random states; the second applies it. In between the host checks the result: a
    gradient that is not finite is never applied, and a step that did not fit into
    memory is computed again in smaller pieces.

    Args:
        network: Maps the inputs of a batch dict to outputs.
        objective: Maps outputs and batch dict to the sum of losses and the sum of
            weights.
        clip_norm: Largest global norm of the gradient; 0 for no limit.
            Defaults to 1.
        accumulation: Number of pieces in which a replica's rows are computed one after
            another; the number of rows is a multiple of it. Defaults to 1.
        adapt: Whether to compute a step again in more pieces if it does not fit into
            memory. Defaults to False.
        on_nan: "stop" raises an error at a step that is not finite, "skip" counts it.
            Defaults to "stop".
        describe: Maps `row_ids` to the names by which users know the rows.
        loss_scale: The rules of the loss scale, for float16.
        **options: Those of every Keras model.
    """

    def __init__(
        self,
        network: keras.Model,
        objective: Objective,
        clip_norm: float = 1.0,
        *,
        accumulation: int = 1,
        adapt: bool = False,
        on_nan: OnNaN = "stop",
        describe: Callable[[list[int]], str] | None = None,
        loss_scale: LossScale | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.network, self.objective = network, objective
        self.clip_norm, self.accumulation, self.adapt = clip_norm, accumulation, adapt
        self.on_nan, self.describe = on_nan, describe
        self.loss_scale = loss_scale
        self.position = Position(loss_scale=loss_scale.first if loss_scale else 1.0)
        self.fast_forwarding = False
        self._resume_step = 0
        self._compute: Any = None
        self._apply: Any = None
        self._spec: Any = None
        self._traced = False
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the outputs of the network."""
        wanted = {name: inputs[name] for name in self.network.input}
        return self.network(wanted, training=training)

    @property
    def metrics(self) -> list[keras.Metric]:
        """Empty: the position holds the loss, so that training can resume."""
        return []

    def sums(self, batch: Batch, scale: Any = 1.0) -> tuple[Any, Any, list[Any]]:
        """Returns sum of losses, sum of weights, and the gradient of the losses."""
        variables = [variable.value for variable in self.trainable_variables]

        def part(rows: Batch) -> tuple[Any, Any, list[Any]]:
            call = _training_call(self)
            with for_processor(on_processor() and not self.jit_compile):
                return gradient_sums(call, self.objective, variables, rows, scale)

        if self.accumulation == 1:
            return part(batch)
        return in_pieces(part, batch, self.accumulation)

    def gradient(self, batch: Batch, scale: Any = 1.0) -> tuple[Any, Any, Any, Any]:
        """Returns what a replica computes in a step.

        Returns:
            The sums of losses and weights over all replicas, the global norm of their
            gradient, and the clipped gradient.
        """
        loss, weight, gradients = self.sums(batch, scale)
        loss, weight, *gradients = sum_over_replicas([loss, weight, *gradients])
        # One factor both divides and clips, because each pass over gradients costs.
        factor = tf.math.divide_no_nan(1.0, tf.cast(weight, "float32") * scale)
        norm = tf.linalg.global_norm(gradients) * factor
        if self.clip_norm:
            factor *= self.clip_norm / tf.maximum(norm, self.clip_norm)
        gradients = [one * factor for one in gradients]
        return loss, weight, norm, gradients

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Updates the trainable variables from one batch.

        Args:
            batch: The inputs of the network and of the objective.

        Returns:
            The mean loss since the epoch began, and this step's gradient norm before
            clipping.

        Raises:
            DivergedError: When loss or gradient is not finite; nothing has changed.
        """
        if self._compute is None:
            self.make_train_function()
        with uninterrupted():
            scale = self.position.loss_scale
            loss, weight, norm, gradients = self._computed(batch, scale)
            loss, weight, norm = (
                float(self._local(one)[0]) for one in (loss, weight, norm)
            )
            if math.isfinite(loss) and math.isfinite(norm):
                self._apply(gradients)
                self.position.add(loss, weight, norm)
            elif not (self.loss_scale and math.isfinite(loss)):
                if self.on_nan == "stop":
                    raise nonfinite(self, self._local(batch), self.describe)
                self.position.skip()
            else:
                self.position.step += 1
            if self.loss_scale:
                self.loss_scale.adjust(self.position, math.isfinite(norm))
            return self.position.logs()

    def _computed(self, batch: Batch, scale: float) -> Any:
        if not self.adapt:
            return self._first_half(batch, scale)
        states = [v for v in self.variables if "seed_generator" in v.path]
        before = [keras.ops.convert_to_numpy(state) for state in states]
        while True:
            try:
                return self._first_half(batch, scale)
            except tf.errors.ResourceExhaustedError:
                rows = next(iter(self._local(batch)[0].values())).shape[0]
                more = [
                    n for n in range(self.accumulation + 1, rows + 1) if not rows % n
                ]
                if not more:
                    raise
                self.accumulation = more[0]
                for state, value in zip(states, before, strict=True):
                    state.assign(value)
                self.make_train_function(force=True)

    def _first_half(self, batch: Batch, scale: float) -> Any:
        if self._spec is not None and not self._traced:
            # With a signature from the batches it would be traced twice: for the first
            # lengths, then for any. A trace takes as long as dozens of steps.
            self._compute.get_concrete_function(self._spec, tf.TensorSpec(()))
            self._traced = True
        return self._compute(batch, tf.constant(scale))

    def _local(self, value: Any) -> tuple[Any, ...]:
        """Returns the values of this process' replicas."""
        return self.distribute_strategy.experimental_local_results(value)

    def make_train_function(self, force: bool = False) -> None:
        """Traces both halves of the step; called by `fit`."""
        if self._compute is not None and not force:
            return
        strategy, compiled = self.distribute_strategy, bool(self.jit_compile)

        def compute(batch: Any, scale: Any) -> Any:
            return strategy.run(self.gradient, args=(batch, scale))

        def apply(gradients: Any) -> None:
            strategy.run(self._update, args=(gradients,))

        if self.run_eagerly:
            self._compute, self._apply = compute, apply
        else:
            # XLA needs every shape; without it one trace serves all lengths.
            trace = {"jit_compile": compiled, "reduce_retracing": not compiled}
            self._compute = tf.function(compute, autograph=False, **trace)
            self._apply = tf.function(apply, autograph=False, **trace)
        self._traced = self.run_eagerly or compiled
        self.train_function = self._next_step

    def _update(self, gradients: list[Any]) -> None:
        self.optimizer.apply_gradients(
            zip(only_on_first_replica(gradients), self.trainable_variables, strict=True)
        )

    def _next_step(self, iterator: Any) -> dict[str, float]:
        self.fast_forwarding = self._resume_step > 0
        if self.fast_forwarding:
            self._resume_step -= 1
            return self.position.logs()
        if not self._traced:
            self._spec = iterator.element_spec
        return self.train_step(next(iterator))

    def fit(self, *args: Any, callbacks: Any = None, **options: Any) -> Any:
        """Trains like every Keras model, starting from the position.

        The data start at the position. `fit` still counts the steps of the epoch that
        were done before; `fast_forwarding` is true while it does.
        """
        self._resume_step = self.position.step
        return super().fit(*args, callbacks=[_Epochs(), *(callbacks or [])], **options)


class _Epochs(keras.callbacks.Callback):
    """Updates the position when an epoch begins."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.position.begin(epoch)


def _training_call(model: keras.Model) -> Callable[[Batch], Any]:
    return lambda rows: model(rows, training=True)
