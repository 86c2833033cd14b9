"""A training that was saved goes on as if it had never stopped."""

import json

import keras
import numpy as np
import pytest

from tfft.adapters.method import METHODS
from tfft.checkpoints.progress import TrainingState, drop_checkpoint, has_checkpoint
from tfft.checkpoints.tensors import save_tensors
from tfft.core.errors import DataError
from tfft.models.weights import read_tensors
from tfft.training.optimizer import adamw

STATE = "checkpoint/state.safetensors"


@pytest.fixture
def start(make_backbone, make_training):
    """Makes a training with dropout in backbone, adapter and head."""

    def make(method="lora"):
        backbone = make_backbone(num_layers=1, dropout=0.2)
        options = {"rank": 2, "dropout": 0.3} if method == "lora" else {}
        spec = METHODS.resolve(method, options)
        _, model = make_training(spec, backbone, dropout=0.1)
        optimizer = adamw(
            model.trainable_variables,
            learning_rate=1e-2,
            steps=6,
            warmup=0.2,
            schedule="linear",
            weight_decay=0.01,
        )
        model.compile(optimizer=optimizer, jit_compile=False)
        return model

    return make


def all_values(model):
    variables = [*model.variables, *model.optimizer.variables]
    own = {id(variable) for variable in model.loss_mean.variables}
    return {
        f"{index} {variable.path}": np.array(variable)
        for index, variable in enumerate(variables)
        if id(variable) not in own
    }


@pytest.mark.parametrize("method", ["lora", "full"])
def test_after_a_restore_the_next_steps_are_those_of_a_training_in_a_piece(
    method, start, make_batch, tmp_path
):
    whole = start(method)
    for seed in range(2):
        whole.train_step(make_batch(seed=seed))
    TrainingState.of(whole).save(tmp_path, 1, {"best": np.array([0.5, 1, 0])})
    for seed in (2, 3):
        whole.train_step(make_batch(seed=seed))

    resumed = start(method)
    epoch, extra = TrainingState.of(resumed).restore(tmp_path)
    assert epoch == 1
    np.testing.assert_array_equal(extra["best"], [0.5, 1, 0])
    for seed in (2, 3):
        resumed.train_step(make_batch(seed=seed))

    expected, found = all_values(whole), all_values(resumed)
    assert len(found) == len(expected)
    for (name, value), mine in zip(expected.items(), found.values(), strict=True):
        np.testing.assert_array_equal(mine, value, err_msg=name)
    assert int(resumed.optimizer.iterations) == 4


def test_without_the_random_states_dropout_would_go_on_otherwise(start, make_batch):
    same, moved = start(), start()
    generators = [v for v in moved.variables if "seed_generator" in v.path]
    state = TrainingState.of(moved).variables
    kept = {id(variable) for variable in state.values()}
    assert len(generators) >= 5
    assert all(id(variable) in kept for variable in generators)
    for variable in generators:
        variable.assign(np.array(variable) + 1)
    losses = [float(one.train_step(make_batch())["loss"]) for one in (same, moved)]
    assert losses[0] != losses[1]


def test_state_holds_what_trains_and_not_the_frozen_backbone(start):
    model = start()
    state = TrainingState.of(model).variables
    kept = {id(variable) for variable in state.values()}
    assert {id(v) for v in model.trainable_variables} <= kept
    assert {id(v) for v in model.optimizer.variables} <= kept
    frozen = [v for v in model.network.backbone.weights if not v.trainable]
    assert len(frozen) == 3 + 2 + 16 + 2  # embeddings and norm, one layer, pooler
    assert not kept & {id(variable) for variable in frozen}


@pytest.mark.parametrize("name", ["trainable.0", "optimizer.0", "random.0"])
def test_a_checkpoint_that_lacks_a_tensor_is_refused_whole(start, tmp_path, name):
    model = start()
    state = TrainingState.of(model)
    state.save(tmp_path, 1, {})
    tensors = read_tensors(tmp_path / STATE)
    del tensors[name]
    save_tensors(tmp_path / STATE, {k: v + 1 for k, v in tensors.items()})
    before = all_values(model)
    with pytest.raises(DataError, match=f"{name} is missing"):
        state.restore(tmp_path)
    for path, value in all_values(model).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)


def test_a_checkpoint_of_another_model_is_refused(start, tmp_path):
    TrainingState.of(start()).save(tmp_path, 1, {})
    with pytest.raises(DataError, match="do not fit"):
        TrainingState.of(start("head")).restore(tmp_path)


def plain_state(value):
    return TrainingState({"x": keras.Variable(np.full((2, 3), value), dtype="float32")})


def test_a_new_checkpoint_takes_the_place_of_the_old_one(tmp_path):
    assert not has_checkpoint(tmp_path)
    for epoch in (1, 2):
        plain_state(float(epoch)).save(tmp_path, epoch, {"best": np.array([epoch])})
    assert has_checkpoint(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint"]
    state = plain_state(0.0)
    assert state.restore(tmp_path)[0] == 2
    assert (np.array(state.variables["x"]) == 2).all()
    assert json.loads((tmp_path / "checkpoint/state.json").read_text()) == {"epoch": 2}
    drop_checkpoint(tmp_path)
    drop_checkpoint(tmp_path)
    assert not has_checkpoint(tmp_path)


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    plain_state(1.0).save(tmp_path, 1, {})

    def fail(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfft.checkpoints.progress.write_json", fail)
    with pytest.raises(Exception, match="No space left"):
        plain_state(2.0).save(tmp_path, 2, {})
    state = plain_state(0.0)
    assert state.restore(tmp_path)[0] == 1
    assert (np.array(state.variables["x"]) == 1).all()
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint"]
