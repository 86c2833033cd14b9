"""The options of logs and callbacks of a training."""

from __future__ import annotations

import csv
import json

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfft.core.errors import ConfigError
from tfft.fitting.config import FinetuneConfig


def steps_logged(run):
    events = EventAccumulator(str(run.folder / "logs" / "steps")).Reload()
    return [event.step for event in events.Tensors("step/loss")]


def test_log_every_gives_the_points_of_the_curves(tune):
    options = {"batch_size": 4, "test": 0, "validation": 0}
    assert steps_logged(tune(**options)) == [10]
    assert steps_logged(tune(**options, log_every=4)) == [4, 8, 10]


def test_the_table_has_the_metrics_of_every_epoch(tiny_run):
    lines = (tiny_run.folder / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    with (tiny_run.folder / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) > 1
    for found, row in zip(table, rows, strict=True):
        assert {name: float(value) for name, value in found.items()} == row


def test_a_callback_of_ones_own_sees_everything_and_may_stop(tune):
    class Mine(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.batches, self.epochs = [], []

        def on_train_batch_end(self, batch, logs=None):
            self.batches.append(set(logs))

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(logs["val_accuracy"])
            self.model.stop_training = True

    mine = Mine()
    run = tune(epochs=3, callbacks=[mine])
    assert (
        len(mine.epochs)
        == len((run.folder / "metrics.jsonl").read_text().split("\n")) - 1
        == 1
    )
    assert all({"loss", "gradient_norm"} <= names for names in mine.batches)
    assert run.record["config"]["callbacks"] == ["<Mine>"]


def test_a_profile_is_written_when_asked_for(tune):
    options = {"batch_size": 4, "test": 0, "validation": 0}
    found = [
        list((run.folder / "logs").rglob("*.xplane.pb"))
        for run in (tune(**options), tune(**options, profile="2,3"))
    ]
    assert not found[0]
    assert len(found[1]) == 1


def test_the_projector_shows_validation_rows_as_the_head_sees_them(tune, make_rows):
    rows = make_rows(40)
    data = {"train": rows[:30], "validation": rows[30:]}
    run = tune(data=data, test=0, projector=6, ema=0.5, epochs=2)
    place = run.folder / "logs" / "validation" / "projector"
    lines = (place / "examples.tsv").read_text().splitlines()
    assert lines[0] == "label\ttext"
    assert lines[1:] == [f"{row['label']}\t{row['text']}" for row in rows[30:36]]
    best = run.record["best_epoch"]
    vectors = np.loadtxt(place / f"epoch_{best:04}.tsv", delimiter="\t")
    # From the vectors by the head's own weights to the answers of the run.
    kernel, bias = (np.array(v) for v in run.model.head_variables)
    odds = np.exp(vectors @ kernel + bias)
    answers = run.predict([row["text"] for row in rows[30:36]])
    names = list(answers[0]["probabilities"])
    expected = [[one["probabilities"][name] for name in names] for one in answers]
    # 1e-5: six digits are written.
    found = odds / odds.sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_tensorboard_finds_the_points_below_a_folder_of_runs(tune, make_rows):
    """It reads no config but those beside event files, and that of its own folder."""
    from tensorboard.backend.event_processing.data_provider import (
        MultiplexerDataProvider,
    )
    from tensorboard.backend.event_processing.plugin_event_multiplexer import (
        EventMultiplexer,
    )
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin

    data = {"train": make_rows(20), "validation": make_rows(8, 1)}
    run = tune(data=data, test=0, projector=4)
    above = str(run.folder.parent)
    events = EventMultiplexer().AddRunsFromDirectory(above)
    events.Reload()
    provider = MultiplexerDataProvider(events, above)
    context = TBContext(logdir=above, data_provider=provider)
    plugin = ProjectorPlugin(context)
    plugin._update_configs()
    assert plugin._configs.keys() == {"run/logs/validation"}
    (shown,) = plugin._configs["run/logs/validation"].embeddings
    assert list(shown.tensor_shape) == [4, 16]


def test_without_being_asked_nothing_is_projected(tiny_run):
    assert not (tiny_run.folder / "logs" / "validation" / "projector").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log_every": 0}, "log_every=0 makes no sense.*1 or more"),
        ({"projector": -1}, "projector=-1 makes no sense.*0 or more"),
        ({"profile": "15,10"}, "profile=.*makes no sense.*the first and the last"),
        ({"profile": "10"}, "profile=.*makes no sense"),
        ({"profile": "ten"}, "'ten' has the wrong type"),
        ({"callbacks": ["print"]}, "callback 'print'.*keras.callbacks.Callback"),
        ({"callbacks": [keras.callbacks.Callback]}, "callback <class"),
        ({"callbacks": 3}, "3 has the wrong type.*a list"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig(model="m", data="d", output_dir="o", **options)
