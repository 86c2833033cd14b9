"""A training that was saved goes on as if it had never stopped."""

import json
import shutil

import keras
import numpy as np
import pytest

from tfft.checkpoints.tensors import save_tensors
from tfft.checkpoints.training_state import Checkpoints, TrainingState
from tfft.core.errors import DataError, StorageError
from tfft.core.files import sha256
from tfft.methods.method import METHODS
from tfft.models.weights import read_tensors
from tfft.training.optimizer import make_optimizer
from tfft.training.warmup_decay import WarmupDecay


@pytest.fixture
def start(make_backbone, make_training):
    """Makes a training with dropout in backbone, adapter and head."""

    def make(method="lora"):
        backbone = make_backbone(num_layers=1, dropout=0.2)
        options = {"rank": 2, "dropout": 0.3} if method == "lora" else {}
        spec = METHODS.resolve(method, options)
        _, model = make_training(spec, backbone, dropout=0.1)
        optimizer = make_optimizer(
            "adamw",
            model.trainable_variables,
            learning_rate=WarmupDecay(1e-2, 6, 1, "linear"),
            weight_decay=0.01,
        )
        model.compile(optimizer=optimizer, jit_compile=False)
        return model

    return make


def all_values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return {
        f"{index} {variable.path}": np.array(variable)
        for index, variable in enumerate(variables)
    }


def save(run, model, step=1, extra=(), **facts):
    state = model if isinstance(model, TrainingState) else TrainingState.of(model)
    Checkpoints(run).save(state, dict(extra), {"step": step, **facts})


def restore(run, model):
    found, _ = Checkpoints(run).latest()
    state = model if isinstance(model, TrainingState) else TrainingState.of(model)
    return found, found.restore(state)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_after_a_restore_the_next_steps_are_those_of_a_training_in_a_piece(
    method, start, make_batch, tmp_path
):
    whole = start(method)
    for seed in range(2):
        whole.train_step(make_batch(seed=seed))
    save(tmp_path, whole, 2, {"best": np.array([0.5, 1, 0])}, note="a")
    for seed in (2, 3):
        whole.train_step(make_batch(seed=seed))

    resumed = start(method)
    found, extra = restore(tmp_path, resumed)
    assert (found.step, found.facts["note"]) == (2, "a")
    np.testing.assert_array_equal(extra["best"], [0.5, 1, 0])
    for seed in (2, 3):
        resumed.train_step(make_batch(seed=seed))

    expected, values = all_values(whole), all_values(resumed)
    assert len(values) == len(expected)
    for (name, value), mine in zip(expected.items(), values.values(), strict=True):
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
    losses = [one.train_step(make_batch())["loss"] for one in (same, moved)]
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
    save(tmp_path, model)
    folder = tmp_path / "checkpoints/step-00000001"
    tensors = read_tensors(folder / "state.safetensors")
    del tensors[name]
    changed = {k: v + 1 for k, v in tensors.items()}
    save_tensors(folder / "state.safetensors", changed)
    sums = json.loads((folder / "manifest.json").read_text())
    sums["state.safetensors"] = sha256(folder / "state.safetensors")
    (folder / "manifest.json").write_text(json.dumps(sums))
    before = all_values(model)
    with pytest.raises(DataError, match=f"{name} is missing"):
        restore(tmp_path, model)
    for path, value in all_values(model).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)


def test_a_checkpoint_of_another_model_is_refused(start, tmp_path):
    save(tmp_path, start())
    with pytest.raises(DataError, match="do not fit"):
        restore(tmp_path, start("head"))


def plain_state(value):
    return TrainingState({"x": keras.Variable(np.full((2, 3), value), dtype="float32")})


def names(run):
    return sorted(one.name for one in (run / "checkpoints").iterdir())


def fill(run, scores, **keep):
    for step, score in enumerate(scores, start=1):
        state = plain_state(float(step))
        Checkpoints(run, **keep).save(state, {}, {"step": step, "score": score})


def test_old_checkpoints_go_as_new_ones_come(tmp_path):
    assert Checkpoints(tmp_path).latest() == (None, [])
    fill(tmp_path, [None] * 4)
    assert names(tmp_path) == ["step-00000003", "step-00000004"]
    state = plain_state(0.0)
    assert restore(tmp_path, state)[0].step == 4
    assert (np.array(state.variables["x"]) == 4).all()
    Checkpoints(tmp_path).drop()
    Checkpoints(tmp_path).drop()
    assert Checkpoints(tmp_path).latest() == (None, [])


def test_the_best_checkpoints_stay_besides_the_latest(tmp_path):
    fill(tmp_path, [0.1, 0.9, None, 0.5, 0.2, 0.3], keep_last=1, keep_best=2)
    assert names(tmp_path) == ["step-00000002", "step-00000004", "step-00000006"]


def test_more_kept_checkpoints_are_kept(tmp_path):
    fill(tmp_path, [None] * 5, keep_last=3)
    assert len(names(tmp_path)) == 3


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    fill(tmp_path, [None])

    def fail(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfft.checkpoints.training_state.write_json", fail)
    with pytest.raises(StorageError, match="No space left"):
        save(tmp_path, plain_state(2.0), 2)
    state = plain_state(0.0)
    assert restore(tmp_path, state)[0].step == 1
    assert (np.array(state.variables["x"]) == 1).all()
    assert names(tmp_path) == ["step-00000001"]


FILES = ["state.safetensors", "extra.safetensors", "facts.json", "manifest.json"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    file, damage, tmp_path
):
    fill(tmp_path, [None, None])
    path = tmp_path / "checkpoints/step-00000002" / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "flipped":
        # In the middle: of the manifest, a digit of a sum.
        middle = len(content) // 2
        path.write_bytes(
            content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        )
    else:
        path.write_bytes(content[: len(content) // 2 if damage == "half" else 0])
    found, notes = Checkpoints(tmp_path).latest()
    assert found.step == 1
    assert len(notes) == 1
    assert "checkpoint step-00000002 is damaged: " in notes[0]


def test_without_a_whole_checkpoint_nothing_is_guessed(tmp_path):
    fill(tmp_path, [None, None])
    for one in (tmp_path / "checkpoints").iterdir():
        (one / "state.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match=r"step-00000002 is damaged.*step-00000001 is"):
        Checkpoints(tmp_path).latest()


def test_a_disk_without_room_is_told_before_the_training(tmp_path, monkeypatch):
    state = plain_state(1.0)
    usage = shutil.disk_usage(tmp_path)
    # 24 bytes, twice as the best weights may stand beside, for two that stay and one
    # that is being written.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=143))
    with pytest.raises(StorageError, match="checkpoints need up to 0 MB, 0 MB are"):
        Checkpoints(tmp_path).check_space(state)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=144))
    Checkpoints(tmp_path).check_space(state)
