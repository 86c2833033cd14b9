"""The train step: sums divided once, clipping, bad steps, compilation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.processor import is_for_processor
from tfft.core.errors import DivergedError
from tfft.training.optimizer import make_optimizer


def sgd(rate=0.5):
    """Without momentum a step is the gradient itself, times the rate."""
    return keras.optimizers.SGD(rate)


def assert_near(ours, theirs, atol):
    assert list(ours) == list(theirs)
    for path, value in ours.items():
        np.testing.assert_allclose(value, theirs[path], rtol=0, atol=atol, err_msg=path)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_fill_rows_of_weight_zero_change_nothing(
    method, make_training, make_batch, joined, snapshot
):
    batch, fill = make_batch(3), make_batch(2, seed=9)
    fill["weights"][:] = 0
    results, logs = [], []
    for rows in (batch, joined(batch, fill)):
        _, model = make_training(method, optimizer=sgd())
        logs.append(model.train_step(rows))
        results.append(snapshot(model.trainable_variables))
    # 1e-6: float32 sums of order 1 over three rows or five.
    assert_near(*results, atol=1e-6)
    for name in ("loss", "gradient_norm"):
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-5)


def test_unequal_halves_add_up_to_the_whole(make_training, make_batch, row_subset):
    _, model = make_training("full")
    batch = make_batch(5)
    batch["weights"][:] = [0.5, 2.0, 1.0, 0.0, 3.0]
    loss, weight, gradients = model.sums(batch)
    assert float(weight) == 6.5
    halves = [model.sums(row_subset(batch, r)) for r in (slice(2), slice(2, 5))]
    assert [float(one[1]) for one in halves] == [2.5, 4.0]
    # 1e-6: float32 sums of order 1.
    np.testing.assert_allclose(loss, halves[0][0] + halves[1][0], rtol=1e-6)
    for whole, first, second in zip(gradients, halves[0][2], halves[1][2], strict=True):
        parts = np.array(first) + np.array(second)
        np.testing.assert_allclose(np.array(whole), parts, rtol=0, atol=3e-6)


def test_epoch_loss_is_the_mean_over_rows_not_over_batches(make_training, make_batch):
    _, model = make_training("head", optimizer=sgd(0.0))
    batches = [make_batch(4, seed=1), make_batch(1, seed=2)]
    sums = [float(model.sums(batch)[0]) for batch in batches]
    for batch in batches:
        logs = model.train_step(batch)
    np.testing.assert_allclose(float(logs["loss"]), sum(sums) / 5, rtol=1e-6)


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_gradient_norm_is_that_of_numpy_and_clipping_scales_the_update(
    method, make_training, make_batch, snapshot
):
    batch = make_batch()
    batch["token_ids"][:, 1:4] = 6  # tokens repeat, as [SEP] does: their rows add up
    norms, moved = [], []
    for clip in (0.0, 1e-2):
        _, model = make_training(method, optimizer=sgd(1.0), clip_norm=clip)
        before = snapshot(model.trainable_variables)
        norms.append(float(model.train_step(batch)["gradient_norm"]))
        after = snapshot(model.trainable_variables)
        moved.append({path: before[path] - after[path] for path in before})
    # At rate 1 and without a limit the step is the gradient. 1e-4: it was taken from
    # weights of order 1 in float32, as a difference of order 1e-3.
    lengths = [
        np.sqrt(sum(np.sum(d.astype("float64") ** 2) for d in one.values()))
        for one in moved
    ]
    assert lengths[0] > 0.1
    np.testing.assert_allclose(norms, lengths[0], rtol=1e-4)
    np.testing.assert_allclose(lengths[1], 1e-2, rtol=1e-3)
    for path, step in moved[0].items():
        expected = step * (1e-2 / lengths[0])
        np.testing.assert_allclose(moved[1][path], expected, rtol=0, atol=2e-7)


def test_a_gradient_below_the_limit_is_not_scaled(make_training, make_batch, snapshot):
    results = []
    for clip in (0.0, 1e3):
        _, model = make_training("head", optimizer=sgd(), clip_norm=clip)
        model.train_step(make_batch())
        results.append(snapshot(model.trainable_variables))
    assert_near(*results, atol=0)


def nan_weight(batch):
    batch["weights"][1] = np.nan
    return None


def nan_loss(batch):
    def objective(outputs, rows):
        first = outputs[:, 0]
        return tf.reduce_sum(first / (1 - rows["weights"]) * 0), tf.constant(1.0)

    return objective


def infinite_gradient_of_a_finite_loss(batch):
    def objective(outputs, rows):
        return tf.reduce_sum(tf.sqrt(outputs[:, 0] * 0)), tf.constant(1.0)

    return objective


@pytest.mark.parametrize(
    "damage", [nan_weight, nan_loss, infinite_gradient_of_a_finite_loss]
)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_step_that_is_not_finite_changes_no_variable(
    method, damage, make_training, make_batch
):
    batch = make_batch()
    _, model = make_training(method, objective=damage(batch))
    variables = [*model.weights, *model.optimizer.variables]
    before = [np.array(variable) for variable in variables]
    with pytest.raises(DivergedError, match="not a finite number"):
        model.train_step(batch)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value, err_msg=variable.path)


def test_divergence_stops_at_the_step_with_the_weights_before_it(
    make_training, make_batch, snapshot, joined
):
    good, bad = [make_batch(seed=seed) for seed in (0, 1)], make_batch(seed=2)
    bad["weights"][0] = np.nan
    _, model = make_training("head")
    dataset = tf.data.Dataset.from_tensor_slices(joined(*good, bad, good[0])).batch(3)
    with pytest.raises(DivergedError, match="not a finite number") as caught:
        model.fit(dataset, verbose=0, shuffle=False)
    assert caught.value.where == "epoch 1, step 3, rows 0; first seen in the loss"
    assert caught.value.exit_code == 76
    _, twin = make_training("head")
    for batch in good:
        twin.train_step(batch)
    # 1e-6: one is traced and the other is not.
    assert_near(snapshot(model.weights), snapshot(twin.weights), atol=1e-6)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize("method", ["full", "lora"])
def test_xla_makes_the_same_step(
    method, make_backbone, make_training, make_batch, tensors_of, snapshot
):
    results = []
    for compiled in (False, True):
        backbone = make_backbone(num_layers=1)
        _, model = make_training(method, backbone, optimizer=sgd(0.1))
        model.compile(optimizer=model.optimizer, jit_compile=compiled)
        logs = model.train_step(tensors_of(make_batch()))
        results.append({"norm": logs["gradient_norm"], **snapshot(model.weights)})
    # 1e-5: XLA fuses and so rounds otherwise.
    assert_near(*results, atol=1e-5)


def test_adamw_and_skipping_work_under_xla(
    make_backbone, make_training, make_batch, tensors_of
):
    _, model = make_training("lora", make_backbone(num_layers=1))
    optimizer = make_optimizer(
        "adamw", model.trainable_variables, learning_rate=1e-3, weight_decay=0.01
    )
    model.compile(optimizer=optimizer, jit_compile=True)
    model.on_nan = "skip"
    bias = model.network.classifier.bias
    model.train_step(tensors_of(make_batch()))
    # Adam's first step is as long as the rate, whatever the gradient.
    np.testing.assert_allclose(np.abs(np.array(bias)), 1e-3, rtol=1e-4)
    bad, before = make_batch(), np.array(bias)
    bad["weights"][0] = np.nan
    assert model.train_step(tensors_of(bad))["skipped"] == 1
    np.testing.assert_array_equal(np.array(bias), before)
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_computes_for_a_processor_unless_xla_joins_its_operations(
    compiled, make_backbone, make_training, make_batch, tensors_of
):
    _, model = make_training("lora", make_backbone(num_layers=1))
    model.compile(optimizer=model.optimizer, jit_compile=compiled)
    objective, seen = model.objective, []

    def noting(*parts):
        seen.append(is_for_processor())
        return objective(*parts)

    model.objective = noting
    model.train_step(tensors_of(make_batch()))
    assert set(seen) == {not compiled}
