"""TensorBoard's scalars by step, the projector's files, the table of metrics."""

import csv
import json

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector import ProjectorConfig
from tensorboard.util.tensor_util import make_ndarray

from tfft.core.errors import StorageError
from tfft.training.csv_file import MetricsTable
from tfft.training.projector import Projector
from tfft.training.tensorboard import StepScalars, memory_in_use
from tfft.training.warmup_decay import WarmupDecay


@pytest.fixture
def model():
    """A compiled model with a rate that falls from 1 by a tenth each step."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(WarmupDecay(1.0, 10, 0, "linear")), "mse")
    return model


class Clock:
    """A clock that stands still until it is told."""

    now = 50.0

    def __call__(self):
        return self.now


def play(callback, model, clock, steps=5, epochs=2, done=0):
    """Runs epochs of half a second a step, the first `done` of which are skipped."""
    callback.set_model(model)
    callback.set_params({"steps": steps})
    callback.on_train_begin()
    model.optimizer.iterations.assign(done)
    for epoch in range(epochs):
        clock.now += 100  # validation
        callback.on_epoch_begin(epoch)
        for batch in range(steps):
            model.fast_forwarding = epoch * steps + batch < done
            callback.on_train_batch_begin(batch)
            if not model.fast_forwarding:
                clock.now += 0.5
                model.optimizer.iterations.assign_add(1)
            step = int(model.optimizer.iterations.numpy())
            callback.on_train_batch_end(
                batch, {"loss": 1 / (step or 1), "gradient_norm": np.float32(step)}
            )
        callback.on_epoch_end(epoch, {})
    callback.on_train_end()


def points(folder):
    """Returns the scalars by tag as pairs of step and value."""
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [
            (e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)
        ]
        for tag in events.Tags()["tensors"]
    }


def test_steps_have_their_scalars_every_so_often_and_at_an_epochs_end(tmp_path, model):
    clock = Clock()
    play(StepScalars(tmp_path, 2, 30.0, clock), model, clock)
    found = points(tmp_path)
    due = [2, 4, 5, 7, 9, 10]
    memory = found.pop("step/memory_mib")
    assert [step for step, _ in memory] == due
    assert all(50 < value < 100_000 for _, value in memory)
    expected = {
        "step/loss": [1 / step for step in due],
        # Of the step itself: the first has the peak.
        "step/learning_rate": [1 - (step - 1) / 10 for step in due],
        "step/gradient_norm": due,
        # 30 tokens in half a second; neither validation nor a pause counts.
        "step/tokens_per_second": [60.0] * len(due),
    }
    assert set(found) == set(expected)
    for tag, values in expected.items():
        assert [step for step, _ in found[tag]] == due
        assert [value for _, value in found[tag]] == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize(("every", "count"), [(1, 10), (10, 2)])
def test_log_every_says_how_often(tmp_path, model, every, count):
    clock = Clock()
    play(StepScalars(tmp_path, every, 30.0, clock), model, clock)
    assert len(points(tmp_path)["step/loss"]) == count


def test_steps_that_a_resumed_training_skips_are_not_written(tmp_path, model):
    clock = Clock()
    play(StepScalars(tmp_path, 2, 30.0, clock), model, clock, done=3)
    found = points(tmp_path)
    assert [step for step, _ in found["step/loss"]] == [4, 5, 7, 9, 10]
    speeds = [value for _, value in found["step/tokens_per_second"]]
    assert speeds == pytest.approx([60.0] * 5)


def test_memory_is_that_of_this_process():
    before = memory_in_use()
    block = np.ones(2**25)  # 256 MiB
    assert memory_in_use() >= before
    assert memory_in_use() > block.nbytes / 2**20


def test_projector_files_hold_vectors_and_columns(tmp_path):
    vectors = np.arange(6, dtype="float32").reshape(2, 3) / 3
    columns = {"label": ["neg", "pos"], "text": ["bad\tand\nlong", "good"]}
    callback = Projector(tmp_path, lambda: vectors, columns)
    for epoch in (0, 1):
        callback.on_epoch_end(epoch)
        vectors = vectors + 1
    lines = (tmp_path / "projector" / "examples.tsv").read_text().splitlines()
    assert lines == ["label\ttext", "neg\tbad and long", "pos\tgood"]
    from google.protobuf import text_format

    text = (tmp_path / "projector_config.pbtxt").read_text()
    config = text_format.Parse(text, ProjectorConfig())
    assert [one.tensor_name for one in config.embeddings] == [
        "epoch_0001",
        "epoch_0002",
    ]
    for epoch, one in enumerate(config.embeddings):
        assert one.metadata_path == "projector/examples.tsv"
        table = np.loadtxt(tmp_path / one.tensor_path, delimiter="\t")
        expected = np.arange(6).reshape(2, 3) / 3 + epoch
        np.testing.assert_allclose(table, expected, rtol=1e-5)


def test_a_single_column_of_the_projector_has_no_head(tmp_path):
    Projector(tmp_path, lambda: np.ones((2, 2)), {"label": [0, 1]}).on_epoch_end(0)
    text = (tmp_path / "projector" / "examples.tsv").read_text()
    assert text == "0\n1\n"


def test_the_table_has_a_row_an_epoch_and_a_column_a_metric(tmp_path):
    source, path = tmp_path / "metrics.jsonl", tmp_path / "metrics.csv"
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "a,b": 1.0}]
    callback = MetricsTable(source, path)
    for count in (1, 2, 2):  # the second once more, as after an interruption
        source.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
        callback.on_epoch_end(count - 1, {})
    with path.open(newline="") as file:
        table = list(csv.reader(file))
    assert table == [["epoch", "loss", "a,b"], ["1", "0.5", ""], ["2", "0.25", "1.0"]]


def test_a_table_that_cannot_be_written_names_itself(tmp_path):
    source = tmp_path / "metrics.jsonl"
    source.write_text('{"epoch": 1}\n')
    (tmp_path / "metrics.csv" / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"metrics\.csv"):
        MetricsTable(source, tmp_path / "metrics.csv").on_epoch_end(0, {})
