"""The loss scale: it changes no gradient, and finds its own size."""

import numpy as np
import pytest
import tensorflow as tf

from tfft.core.errors import DivergedError
from tfft.training.loss_scale import LossScale
from tfft.training.position import Position


def test_a_scale_is_taken_out_again(make_training, make_batch, snapshot):
    results = []
    for scale in (None, LossScale(first=2.0**12)):
        _, model = make_training("lora")
        model.loss_scale = scale
        model.position.loss_scale = scale.first if scale else 1.0
        logs = [model.train_step(make_batch(seed=seed)) for seed in range(2)]
        results.append((snapshot(model.trainable_variables), logs))
    assert results[0][1] == results[1][1]
    # Powers of two change no digit.
    for path, value in results[0][0].items():
        np.testing.assert_array_equal(value, results[1][0][path], err_msg=path)


def test_an_overflow_halves_the_scale_and_leaves_the_step_out(
    make_training, make_batch, snapshot
):
    limit = 2.0**6

    def objective(outputs, batch):
        loss = tf.reduce_sum(outputs)

        @tf.custom_gradient
        def overflow(x):
            # What float16 does to a gradient that is too large.
            return x, lambda dy: tf.where(dy > limit, np.inf, dy)

        return overflow(loss), tf.constant(3.0)

    _, model = make_training("head", objective=objective)
    model.loss_scale = LossScale(first=2.0**8, interval=2)
    model.position.loss_scale = 2.0**8
    before = snapshot(model.weights)
    scales = []
    for _ in range(2):
        model.train_step(make_batch())
        scales.append(model.position.loss_scale)
    for path, value in snapshot(model.weights).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    for _ in range(3):
        model.train_step(make_batch())
        scales.append(model.position.loss_scale)
    # Two good steps, then twice the scale, which is too much once more.
    assert scales == [2.0**7, 2.0**6, 2.0**6, 2.0**7, 2.0**6]
    assert int(model.optimizer.iterations) == 2
    assert model.position.skipped == 0


def test_a_gradient_that_is_finite_at_no_scale_ends_the_training():
    position, rules = Position(loss_scale=1.0), LossScale(least=0.25)
    rules.adjust(position, finite=False)
    rules.adjust(position, finite=False)
    with pytest.raises(DivergedError, match="not finite at any loss scale"):
        rules.adjust(position, finite=False)
