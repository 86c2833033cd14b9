"""The estimate counts what a training then does, and times real steps."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import tfft
from tfft.core.errors import OutOfMemoryError
from tfft.data.batching import Batches, Examples
from tfft.fitting import cost, probe
from tfft.fitting.config import FinetuneConfig


@pytest.fixture(scope="module")
def options(bert_folder, make_rows):
    return {
        "model": bert_folder,
        "data": make_rows(40),
        "method": "head",
        "backbone_dropout": 0.0,
        "precision": "float32",
        "epochs": 2,
        "batch_size": 8,
    }


def test_it_says_what_the_training_then_says(options, tmp_path):
    found = tfft.estimate(**options)
    run = tfft.finetune(**options, output_dir=tmp_path / "run", verbose=0)
    told = run.record["cost"]
    for name in ("trainable", "total", "steps", "epochs", "tokens", "padding"):
        assert getattr(found, name) == told[name], name
    assert found.precision == run.record["precision"]
    # The mean state of 32 + 4 rows, 16 numbers of 4 bytes each.
    assert found.kept == 36 * 16 * 4
    assert 0 < found.seconds_per_step < found.seconds


def test_nothing_is_written(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tfft.estimate(**{**options, "cache_frozen": False})
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_it(options, tmp_path, make_rows, capsys):
    from tfft.cli.main import main

    rows = "".join(json.dumps(row) + "\n" for row in make_rows(40))
    (tmp_path / "rows.jsonl").write_text(rows)
    given = ["--model", str(options["model"]), "--data", str(tmp_path / "rows.jsonl")]
    given += ["--method", "lora", "--method.rank", "2", "--epochs", "1"]
    assert main(["estimate", *given]) == 0
    shown = capsys.readouterr().out
    for part in ("parameters:    ", "peak memory:   about", "steps:", " s a step in "):
        assert part in shown
    assert "frozen layers" not in shown
    assert main(["estimate", *given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {one.name for one in dataclasses.fields(tfft.Estimate)}
    assert found["trainable"] == 2 * 2 * 2 * 16 * 2 + 16 * 2 + 2


def test_a_step_that_does_not_fit_is_said_so(options, monkeypatch):
    def steps(*given):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    monkeypatch.setattr(probe, "_steps", steps)
    with pytest.raises(OutOfMemoryError, match="a step of 8 rows does not fit"):
        tfft.estimate(**options)


def test_dropout_that_keeps_frozen_layers_running_is_named(options, monkeypatch):
    monkeypatch.setattr(probe, "_steps", lambda *given: [0.5, 2.0])
    found = tfft.estimate(**{**options, "backbone_dropout": 0.1})
    assert found.kept == 0
    assert "backbone_dropout=0 would let them" in str(found)


def test_missing_options_are_named(capsys):
    from tfft.cli.main import main

    assert main(["estimate", "--epochs", "2"]) == 2
    assert "--data, --model not given" in capsys.readouterr().err


def test_seconds_follow_from_the_steps(options, monkeypatch):
    """Two lengths in the data, and the times told: the sum is known."""
    rows = [
        {"text": "a " * (5 if index % 4 else 40), "label": index % 2}
        for index in range(64)
    ]
    monkeypatch.setattr(probe, "_steps", lambda *given: [0.5, 2.0])
    monkeypatch.setattr(probe, "_forward", lambda network, batch: 0.25)
    data = {"train": rows, "validation": rows[1:4] * 3, "test": rows}
    changed = {"data": data, "cache_frozen": False, "epochs": 3}
    found = tfft.estimate(**{**options, **changed})
    # 64 rows by 8: six batches of 8 tokens, two of 48; nine validation rows, eight
    # to a pass.
    assert found.steps == 8 * 3
    assert found.seconds_per_step == pytest.approx((6 * 0.5 + 2 * 2.0) / 8)
    assert found.seconds == pytest.approx(3 * (6 * 0.5 + 2 * 2.0 + 9 / 8 * 0.25))


@pytest.fixture
def memory(make_training, monkeypatch):
    """Returns the bytes the formula adds, of given choices."""
    monkeypatch.setattr(cost, "_held", lambda network: 0)

    def added(method="full", rows=16, length=64, half=False, pieces=1, dropout=0.0):
        _, model = make_training(method)
        from tfft.compute.layers import set_dropout

        set_dropout(model.network.backbone, dropout)
        examples = Examples({"token_ids": [[1] * length]}, {}, {"token_ids": 0})
        batches = Batches(examples, rows)
        options = {"model": "", "data": "", "output_dir": "", "epochs": 1}
        config = FinetuneConfig(**options, accumulation=pieces, batch_size=rows)
        return cost.cost_of(model.network, batches, config, half).memory

    return added


def test_activations_grow_with_rows_and_scores_with_the_square_of_tokens(memory):
    one, two, three = (memory(rows=rows * 10_000) for rows in (1, 2, 3))
    assert three - two == pytest.approx(two - one)
    lengths = [memory(rows=10_000, length=length) for length in (64, 128, 192, 256)]
    second = np.diff(lengths, 2)
    # Two layers and two heads: 4 bytes a score, and 9 passing by more than the GELU.
    assert (second > 0).all()
    assert second[0] >= 2 * 4 * 2 * 10_000 * 64**2 * 2


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"dropout": 0.1}, {}),
        ({"half": False}, {"half": True}),
        ({"method": "full"}, {"method": {"name": "last_layers", "count": 1}}),
        ({"method": {"name": "last_layers", "count": 1}}, {"method": "head"}),
        ({"pieces": 1}, {"pieces": 4}),
        ({"method": {"name": "lora", "target": "all-linear"}}, {"method": "lora"}),
    ],
)
def test_what_takes_more_memory(memory, more, less):
    size = {"rows": 10_000, "length": 16}
    assert memory(**size, **more) > 1.01 * memory(**size, **less)


def test_pieces_hold_the_rows_of_a_piece(memory):
    assert memory(rows=40_000, pieces=4) == memory(rows=10_000)
