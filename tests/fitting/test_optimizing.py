"""The options of optimizer, schedule, rates by depth, and average of a training."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from tfft.core.errors import ConfigError, InterruptedRunError
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.optimize import layer_depths
from tfft.models.architecture import ARCHITECTURES
from tfft.training.warmup_decay import WarmupDecay

EAGER = {"batch_size": 8, "test": 0, "validation": 0, "learning_rate": 0.02}
STEPS = 5  # 40 rows by 8


def weights(run):
    return {v.path: np.array(v) for v in run.model.trainable_variables}


def distance(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return max(np.abs(one[path] - other[path]).max() for path in one)


@pytest.fixture(scope="module")
def eager(tune):
    return tune(**EAGER)


@pytest.mark.parametrize(
    "options",
    [
        *({"optimizer": name} for name in ("adam", "sgd", "adafactor", "lion")),
        {"optimizer": {"name": "adamw", "beta_1": 0.5}},
        {"schedule": "polynomial"},
        {"warmup_steps": 3},
        {"no_decay": ("classifier.kernel",), "weight_decay": 0.5},
        {"ema": 0.5},
    ],
    ids=str,
)
def test_the_option_gives_other_weights(eager, tune, options):
    other = tune(**{**EAGER, **options})
    base = eager
    if "no_decay" in options:
        base = tune(**EAGER, weight_decay=0.5)
    assert distance(base, other) > 1e-6
    name, value = next(iter(options.items()))
    recorded = json.loads(json.dumps(value))
    assert other.record["config"][name] == recorded
    assert eager.record["config"][name] != recorded


def test_the_power_is_that_of_the_polynomial(tune):
    one, same, other = (
        tune(**EAGER, **options)
        for options in (
            {"schedule": "linear"},
            {"schedule": "polynomial", "schedule_power": 1},
            {"schedule": "polynomial", "schedule_power": 3},
        )
    )
    assert distance(one, same) == 0
    assert distance(one, other) > 1e-6


def test_warm_up_is_a_share_or_steps(eager, tune):
    assert round(0.1 * STEPS) == 0
    assert distance(eager, tune(**EAGER, warmup_steps=0)) == 0
    other = tune(**EAGER, warmup_steps=2)
    assert distance(other, tune(**EAGER, warmup=0.4)) == 0
    assert distance(eager, other) > 1e-6


def test_muon_moves_the_layers_and_not_as_adam_does(tune):
    shared = {**EAGER, "method": "lora", "weight_decay": 0}
    one, other = tune(**shared), tune(**shared, optimizer="muon")
    first, second = weights(one), weights(other)
    assert distance(one, other) > 1e-3
    # The head has Adam's first steps with both, which are as long as the rate.
    path = "classifier/kernel"
    np.testing.assert_allclose(first[path], second[path], rtol=0, atol=0.1)


def test_a_schedule_object_decides_alone(eager, tune):
    options = {**EAGER, "learning_rate": None}
    same = tune(**options, schedule=WarmupDecay(0.02, STEPS, 0, "cosine"))
    assert distance(eager, same) == 0
    config = same.record["config"]["schedule"]
    assert (config["class"], config["peak"]) == ("WarmupDecay", 0.02)


def test_an_optimizer_object_gives_rate_and_decay_and_serves_again(eager, tune):
    options = {**EAGER, "learning_rate": None}
    given = keras.optimizers.Adam(0.02, weight_decay=0.01)
    for _ in range(2):
        assert distance(eager, tune(**options, optimizer=given)) == 0
    run = tune(**options, optimizer=keras.optimizers.Adam(0.02))
    assert distance(eager, run) > 1e-6
    assert run.record["config"]["optimizer"]["weight_decay"] is None


def test_depth_is_counted_from_the_head_down():
    paths = {
        "classifier/kernel": 0,
        "pooled_dense/kernel": 0,
        "transformer_layer_11/self_attention_layer/query/lora_a": 1,
        "transformer_layer_10/feedforward_output_dense/bias": 2,
        "transformer_layer_1/self_attention_layer_norm/gamma": 11,
        "bert_backbone/transformer_layer_0/self_attention_layer/value/kernel": 12,
        "token_embedding/embeddings": 13,
        "embeddings_layer_norm/beta": 13,
    }
    assert layer_depths(ARCHITECTURES.get("bert")(), 12, list(paths)) == paths


def test_layer_decay_slows_the_lower_layers(tune):
    """Adam's first step is as long as its rate, whatever the gradient."""
    options = {**EAGER, "batch_size": 64, "method": "full", "weight_decay": 0}
    options |= {"schedule": "constant", "learning_rate": 1e-3, "clip_norm": 0}
    start = {}

    class Start(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            variables = self.model.trainable_variables
            start.update({v.path: np.array(v) for v in variables})

    one = tune(**options, callbacks=[Start()])
    slower = tune(**options, layer_decay=0.5)
    moved = [
        {path: np.abs(v - start[path]).max() for path, v in weights(run).items()}
        for run in (one, slower)
    ]
    expected = {
        "classifier/kernel": 1,
        "pooled_dense/kernel": 1,
        "transformer_layer_1/self_attention_layer/query/kernel": 1 / 2,
        "transformer_layer_0/feedforward_output_dense/kernel": 1 / 4,
        "token_embedding/embeddings": 1 / 8,
    }
    for path, factor in expected.items():
        # 1e-3: epsilon beside small gradients, and differences of float32 weights.
        assert moved[0][path] == pytest.approx(1e-3, rel=1e-2)
        assert moved[1][path] / moved[0][path] == pytest.approx(factor, rel=2e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_decay": 0.5}, "layer_decay=0.5 .* trains no layer"),
        ({"no_decay": ("nothing",)}, "nothing"),
        ({"optimizer": {"name": "sgd", "rho": 1}}, "unknown option rho"),
        ({"projector": 3, "validation": 0}, "without validation rows"),
    ],
)
def test_a_refusal_comes_before_anything_is_replaced(eager, tune, options, message):
    before = (eager.folder / "run.json").read_text()
    with pytest.raises(ConfigError, match=message):
        tune(output_dir=eager.folder, overwrite=True, **options)
    assert (eager.folder / "run.json").read_text() == before


def test_multipliers_of_a_method_reach_the_optimizer(tune, eager, monkeypatch):
    from tfft.methods.adapter import Adapter

    begin = Adapter.__init__

    def with_factors(self, *arguments, **options):
        begin(self, *arguments, **options)
        self.learning_rate_multipliers = {"classifier/bias": 0.0}

    monkeypatch.setattr(Adapter, "__init__", with_factors)
    slow = tune(**EAGER)
    assert np.array_equal(weights(slow)["classifier/bias"], np.zeros(2))
    assert np.abs(weights(eager)["classifier/bias"]).max() > 1e-3


def test_the_average_is_validated_kept_and_loaded(tune):
    import tfft

    seen = []

    class Raw(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append([np.array(v) for v in self.model.trainable_variables])

    options = {"batch_size": 8, "test": 0, "early_stopping": 0, "epochs": 3}
    run = tune(**options, learning_rate=0.05, ema=0.8, callbacks=[Raw()])
    average, averages = [value.astype("float64") for value in seen[0]], {}
    for step, values in enumerate(seen, start=1):
        average = [0.8 * a + 0.2 * b for a, b in zip(average, values, strict=True)]
        averages[step] = average
    steps = len(seen) // 3
    best = averages[run.record["best_epoch"] * steps]
    found = [np.array(v) for v in run.model.trainable_variables]
    for mine, theirs in zip(found, best, strict=True):
        # 1e-6: float32, a dozen steps.
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)
    assert distance(run, tfft.load(run.folder)) == 0
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    line = json.loads(lines[run.record["best_epoch"] - 1])
    assert run.metrics["validation"]["loss"] == pytest.approx(line["val_loss"])


def test_a_resumed_average_is_that_of_a_run_in_one_piece(tune, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations.numpy()) == 6:
                raise KeyboardInterrupt

    options = {"batch_size": 8, "epochs": 3, "ema": 0.8, "optimizer": "lion"}
    options |= {"learning_rate": 0.01, "output_dir": tmp_path / "run"}
    with pytest.raises(InterruptedRunError):
        tune(**options, callbacks=[Stop()])
    resumed = tune(**options, resume=True)
    whole = tune(**{**options, "output_dir": tmp_path / "whole"})
    assert distance(resumed, whole) == 0
    assert resumed.metrics == whole.metrics
    tables = [
        (run.folder / "metrics.csv").read_text().splitlines()
        for run in (resumed, whole)
    ]
    assert [len(table) for table in tables] == [4, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamx"}, r"unknown optimizer 'adamx'.*adamw.*mean \"adam"),
        ({"optimizer": keras.optimizers.Adam}, "unknown optimizer.*Keras object"),
        ({"optimizer": {"momentum": 1}}, "unknown optimizer None"),
        ({"schedule": "cosin"}, r"unknown schedule 'cosin'.*polynomial.*cosine"),
        ({"schedule_power": 0}, "schedule_power=0.0 makes no sense.*above 0"),
        ({"layer_decay": 1.1}, "layer_decay=1.1 makes no sense.*at most 1"),
        ({"ema": 1}, "ema=1.0 makes no sense.*up to but not 1"),
        ({"warmup_steps": -1}, "warmup_steps=-1 makes no sense.*0 or more"),
        ({"warmup_steps": 3, "warmup": 0.2}, "warmup=0.2 with warmup_steps=3"),
        (
            {"optimizer": keras.optimizers.Adam(), "learning_rate": 0.1},
            "learning_rate=0.1 with optimizer=.*leave learning_rate or optimizer",
        ),
        (
            {"schedule": WarmupDecay(1.0, 2, 1, "linear"), "warmup": 0.3},
            "warmup=0.3 with schedule=",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig(model="m", data="d", output_dir="o", **options)
