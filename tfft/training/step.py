"""The train step: losses and weights are summed, and divided once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

Objective = Callable[[Any, Mapping[str, Any]], tuple[Any, Any]]


class TrainingModel(keras.Model):
    """Trains a network under `fit` on batch dicts.

    The gradient is taken with respect to the trainable variables alone, so none of
    a frozen kernel is ever formed. A step whose gradient is not finite changes
    nothing: `loss` then is not finite either, and a callback can stop.

    Args:
        network: Maps the inputs of a batch dict to outputs.
        objective: Maps outputs and batch dict to the sum of losses and the sum of
            weights.
        clip_norm: Largest global norm of the gradient; 0 for no limit.
            Defaults to 1.
        **options: Those of every Keras model.
    """

    def __init__(
        self,
        network: keras.Model,
        objective: Objective,
        clip_norm: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.network = network
        self.objective = objective
        self.clip_norm = clip_norm
        self.loss_mean = keras.metrics.Mean(name="loss")
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the outputs of the network."""
        wanted = {name: inputs[name] for name in self.network.input}
        return self.network(wanted, training=training)

    @property
    def metrics(self) -> list[keras.Metric]:
        """The weighted mean of the loss since the epoch began."""
        return [self.loss_mean]

    def gradients(self, batch: Mapping[str, Any]) -> tuple[Any, Any, list[Any]]:
        """Returns sum of losses, sum of weights, and the gradient of their ratio."""
        variables = [variable.value for variable in self.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = self(batch, training=True)
            loss_sum, weight_sum = self.objective(outputs, batch)
            loss = tf.math.divide_no_nan(loss_sum, weight_sum)
        # An embedding's gradient comes as one row a token. The norm of those rows is
        # not the norm of their sums, which repeated tokens need.
        gradients = [
            tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(loss, variables)
        ]
        return loss_sum, weight_sum, gradients

    def train_step(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Updates the trainable variables from one batch.

        Args:
            batch: The network's inputs, and what the objective reads.

        Returns:
            The running mean of the loss and this step's gradient norm, unclipped.
        """
        loss_sum, weight_sum, gradients = self.gradients(batch)
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            scale = self.clip_norm / tf.maximum(norm, self.clip_norm)
            gradients = [gradient * scale for gradient in gradients]
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss_sum)
        tf.cond(finite, lambda: self._apply(gradients), lambda: tf.constant(0))
        loss = tf.math.divide_no_nan(loss_sum, weight_sum)
        loss = tf.where(finite, loss, float("nan"))
        self.loss_mean.update_state(loss, sample_weight=weight_sum)
        return {"loss": self.loss_mean.result(), "gradient_norm": norm}

    def _apply(self, gradients: list[Any]) -> Any:
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True)
        )
        return tf.constant(0)
