"""The callbacks: best weights, early stopping, logs, the metrics file."""

import json
import math

import keras
import numpy as np
import pytest

from tfft.core.errors import StorageError
from tfft.training.callbacks import (
    AtEpochEnd,
    KeepBest,
    MetricsFile,
    Validate,
)


@pytest.fixture
def model():
    """A compiled model of a frozen layer and a trained one."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)]
    )
    model.layers[0].trainable = False
    model.compile(optimizer="sgd", loss="mse")
    return model


def mark(model, number):
    for variable in model.weights:
        variable.assign(np.full(variable.shape, number))


def play(callback, model, values, first=0):
    """Runs epochs whose weights are their number; returns those that ran."""
    callback.set_model(model)
    model.stop_training = False
    for epoch, value in enumerate(values, start=first):
        mark(model, epoch + 1)
        callback.on_epoch_end(epoch, {"val_loss": value})
        if model.stop_training:
            break
    return epoch + 1


@pytest.mark.parametrize(
    ("values", "higher", "patience", "best", "ran"),
    [
        ([3, 1, 2, 4], False, 0, 2, 4),
        ([3, 1, 2, 4, 0], False, 2, 2, 4),
        ([3, 1, 2, 0, 4, 5, 6], False, 2, 4, 6),
        ([1, 3, 2], True, 1, 2, 3),
        ([1, 2, 3], True, 1, 3, 3),
        ([1, 1, 1], False, 0, 1, 3),  # a tie is no improvement
        ([math.nan, 2, math.nan], False, 0, 2, 3),
    ],
)
def test_training_ends_with_the_best_weights(
    values, higher, patience, best, ran, model
):
    keep = KeepBest("val_loss", higher, patience)
    assert play(keep, model, values) == ran
    assert model.stop_training is (ran < len(values) or patience == ran - best > 0)
    keep.on_train_end()
    assert keep.best_epoch == best
    for variable in model.trainable_variables:
        np.testing.assert_array_equal(np.array(variable), np.full(variable.shape, best))
    # Frozen weights are not its business.
    for variable in model.non_trainable_variables:
        np.testing.assert_array_equal(np.array(variable), np.full(variable.shape, ran))


@pytest.mark.parametrize(
    ("scores", "losses", "best", "ran"),
    [
        ([1, 1, 1, 1], [0.5, 0.1, 0.0008, 1.1], 3, 4),
        ([0.5, 1, 1, 1], [0.1, 0.7, 0.9, 0.9], 2, 4),  # the score counts first
        ([1, 1, 1, 1], [0.5, math.nan, 0.4, 0.4], 3, 4),
        ([1, 1, 1, 1, 1], [0.5, 0.4, 0.3, 0.3, 0.4], 3, 5),  # lower is progress
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_of_equal_scores_the_lowest_loss_is_the_best(
    scores, losses, best, ran, cut, model
):
    first, second = (KeepBest("val_f1", True, 2) for _ in range(2))
    rows = list(zip(scores, losses, strict=True))

    def run(keep, part, epoch):
        keep.set_model(model)
        for number, (score, loss) in enumerate(part, start=epoch):
            mark(model, number + 1)
            keep.on_epoch_end(number, {"val_f1": score, "val_loss": loss})
            if model.stop_training:
                return number + 1
        return epoch + len(part)

    run(first, rows[:cut], 0)
    second.set_state(first.state())
    assert run(second, rows[cut:], cut) == ran
    second.on_train_end()
    assert second.best_epoch == best
    assert (np.array(model.trainable_variables[0]) == best).all()


def test_before_the_first_epoch_there_is_nothing_to_restore(model):
    keep = KeepBest("val_loss", False, 0)
    keep.set_model(model)
    mark(model, 7)
    keep.on_train_end()
    assert keep.best_epoch == 0
    assert all((np.array(v) == 7).all() for v in model.weights)


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_resumed_training_decides_like_one_in_a_piece(cut, model):
    values, patience = [3, 1, 2, 0.5, 4, 5, 6], 3
    whole = KeepBest("val_loss", False, patience)
    ran = play(whole, model, values)
    first, second = (KeepBest("val_loss", False, patience) for _ in range(2))
    play(first, model, values[:cut])
    second.set_state(first.state())
    assert play(second, model, values[cut:], first=cut) == ran == 7
    assert (
        (second.best, second.best_epoch) == (whole.best, whole.best_epoch) == (-0.5, 4)
    )
    second.restore()
    assert (np.array(model.trainable_variables[0]) == 4).all()


def test_validation_metrics_join_the_logs():
    logs = {"loss": 1.0}
    Validate(lambda: {"accuracy": 0.5, "loss": 2.0}).on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "val_accuracy": 0.5, "val_loss": 2.0}


def test_metrics_file_gets_a_line_of_json_an_epoch(tmp_path, model):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 0}\n')
    file = MetricsFile(path, lambda: {"memory": 3.0})
    file.set_model(model)
    for epoch, loss in enumerate([np.float32(0.5), 0.25]):
        model.optimizer.iterations.assign(10 * (epoch + 1))
        file.on_epoch_begin(epoch)
        file.on_epoch_end(epoch, {"loss": loss})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    seconds = [line.pop("seconds") for line in lines[1:]]
    assert lines == [
        {"epoch": 0},
        {"epoch": 1, "step": 10, "loss": 0.5, "memory": 3.0},
        {"epoch": 2, "step": 20, "loss": 0.25, "memory": 3.0},
    ]
    assert all(0 <= one < 5 for one in seconds)


def test_a_metrics_file_that_cannot_be_written_names_itself(tmp_path, model):
    file = MetricsFile(tmp_path / "gone" / "metrics.jsonl", dict)
    file.set_model(model)
    with pytest.raises(StorageError, match=r"metrics\.jsonl"):
        file.on_epoch_end(0, {"loss": 1.0})


def test_epochs_are_counted_from_one():
    seen = []
    callback = AtEpochEnd(seen.append)
    for epoch in range(3):
        callback.on_epoch_end(epoch)
    assert seen == [1, 2, 3]
