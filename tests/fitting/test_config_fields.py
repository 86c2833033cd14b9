"""Every option of a training changes what it says it changes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfft.core.errors import ConfigError
from tfft.fitting.config import FinetuneConfig

EAGER = {"batch_size": 8, "test": 0, "validation": 0, "learning_rate": 0.02}


def head(run):
    return np.concatenate([np.array(v).ravel() for v in run.model.head_variables])


@pytest.fixture(scope="module")
def plain(tune):
    return tune()


@pytest.fixture(scope="module")
def eager(tune):
    return tune(**EAGER)


def test_the_same_options_give_the_same_weights(plain, tune):
    one, same = plain, tune()
    assert np.array_equal(head(one), head(same))
    assert one.metrics == same.metrics


def test_epochs_and_batch_size_give_the_steps(plain, tune):
    one, other = plain, tune(epochs=2, batch_size=5)
    assert one.record["cost"]["steps"] == 2  # 32 rows by 16
    assert other.record["cost"]["steps"] == 2 * 7  # 32 rows by 5
    lines = (other.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [7, 14]


def test_the_seed_gives_other_splits_and_weights(plain, tune):
    one, other = plain, tune(seed=1)
    marks = [run.record["data"]["fingerprint"]["train"] for run in (one, other)]
    assert marks[0] != marks[1]
    assert not np.array_equal(head(one), head(other))


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0.1},
        {"schedule": "linear"},
        {"schedule": "constant"},
        {"warmup": 0.5},
        {"weight_decay": 0.9},
        {"clip_norm": 1e-6},
        {"backbone_dropout": 0.5},
    ],
    ids=lambda options: "=".join(map(str, *options.items())),
)
def test_the_option_gives_other_weights(eager, tune, options):
    one, other = eager, tune(**{**EAGER, **options})
    assert np.abs(head(one) - head(other)).max() > 1e-6
    name, value = next(iter(options.items()))
    assert other.record["config"][name] == value
    assert one.record["config"][name] != value


def test_the_learning_rate_is_the_methods_when_none_is_given(plain, tune):
    one, other = plain, tune(learning_rate=1e-3)
    assert one.record["config"]["learning_rate"] is None
    assert np.array_equal(head(one), head(other))


def test_a_clip_norm_of_zero_is_no_limit(tune):
    one, other = (tune(**EAGER, clip_norm=norm) for norm in (0, 1e9))
    assert np.array_equal(head(one), head(other))


def test_early_stopping_ends_training_and_keeps_the_best(tune):
    # A rate at which the loss soon gets worse.
    shared = {"learning_rate": 5.0, "schedule": "constant", "epochs": 6, "warmup": 0}
    never, soon = (tune(**shared, early_stopping=patience) for patience in (0, 1))
    losses = [
        [json.loads(line)["val_loss"] for line in path.read_text().splitlines()]
        for path in (run.folder / "metrics.jsonl" for run in (never, soon))
    ]
    worse = next(i for i in range(1, 6) if losses[0][i] >= min(losses[0][:i]))
    assert len(losses[0]) == 6
    assert losses[1] == losses[0][: worse + 1]
    for run, one in zip((never, soon), losses, strict=True):
        assert run.record["best_epoch"] == int(np.argmin(one)) + 1
        assert run.metrics["validation"]["loss"] == pytest.approx(min(one))


def test_precision_is_recorded_and_results_are_in_float32(plain, tune):
    one, other = plain, tune(precision="mixed_bfloat16")
    assert one.record["precision"] == "float32"
    assert other.record["precision"] == "mixed_bfloat16"
    assert not np.array_equal(head(one), head(other))
    assert other.model.backbone.dtype_policy.name == "float32"


def test_verbose_decides_what_is_printed(tune, tmp_path, capsys):
    tune()
    assert capsys.readouterr().out == ""
    tune(verbose=1, output_dir=tmp_path / "loud", on_bad_rows="skip", data=[
        *({"text": f"a{i}", "label": i % 2} for i in range(40)),
        {"text": None, "label": 1},
    ])  # fmt: skip
    shown = capsys.readouterr().out
    for part in (
        "data: 32 train, 4 validation, 4 test rows",
        "list row 41",
        "cost: trainable 34 of ",
        "epoch 1/1 · ",
        " · val_accuracy 0.",
        f"run: {tmp_path}",
    ):
        assert part in shown.replace("\n", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 makes no sense.*1 or more"),
        ({"learning_rate": float("nan")}, "learning_rate=nan makes no sense"),
        ({"warmup": 1}, "warmup=1.0 makes no sense.*from 0 up to but not 1"),
        ({"seed": -1}, "seed=-1 makes no sense.*0 to 2147483647"),
        ({"clip_norm": -1}, "clip_norm=-1.0 makes no sense.*0 or more"),
        ({"backbone_dropout": 1}, "backbone_dropout=1.0 makes no sense"),
        ({"precision": "float16"}, "'float16' is not allowed.*one of: auto, float32"),
        ({"epoch": 3}, 'unknown option epoch=3.*did you mean "epochs"?'),
        ({"num_train_epochs": 3, "epochs": 3}, "epochs is given twice"),
        ({"epochs": True}, "True has the wrong type.*a whole number"),
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig(model="m", data="d", output_dir="o", **options)


def test_the_names_of_other_libraries_mean_our_options():
    config = FinetuneConfig(
        model="m", data="d", output_dir="o", num_train_epochs="2", max_grad_norm=3,
        per_device_train_batch_size=4, warmup_ratio=0.2, lr_scheduler_type="linear",
    )  # fmt: skip
    values = (config.epochs, config.clip_norm, config.batch_size, config.warmup)
    assert (*values, config.schedule) == (2, 3.0, 4, 0.2, "linear")
