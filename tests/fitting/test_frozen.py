"""Frozen layers computed once change what a training costs, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfft.core.errors import ConfigError, InterruptedRunError
from tfft.fitting import frozen
from tfft.runs.predictor import Predictor
from tfft.training.callbacks import MetricsFile

LAST = {"name": "last_layers", "count": 1}
USED = "are computed once"


@pytest.fixture
def pair(tune):
    """Trains without and with the states kept."""

    def make(**options):
        shared = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, **options}
        return [
            tune(backbone_dropout=0.0, cache_frozen=kept, **shared)
            for kept in (False, True)
        ]

    return make


def lines_of(run):
    text = (run.folder / "metrics.jsonl").read_text()
    return [
        {k: v for k, v in json.loads(line).items() if k != "seconds"}
        for line in text.splitlines()
    ]


def weights_of(run):
    return {v.path: np.array(v) for v in run.model.weights}


@pytest.mark.parametrize(
    ("method", "precision", "place"),
    [
        ("head", "float32", "memory"),
        ("head", "mixed_bfloat16", "disk"),
        (LAST, "mixed_bfloat16", "memory"),
        (LAST, "float32", "disk"),
    ],
)
def test_training_is_the_same(pair, monkeypatch, method, precision, place):
    if place == "disk":
        monkeypatch.setattr(frozen, "available_memory", lambda: 0)
    plain, short = pair(method=method, precision=precision)
    # Sums of other shapes: float32 rounds in the 7th digit. bfloat16 does in the 3rd,
    # more or less often as TensorFlow fuses operations, and Adam divides a gradient
    # near zero by its size: steps of 0.01 then differ whole, a few out of twelve.
    exact = precision == "float32"
    tolerance, moved = (1e-5, 1e-5) if exact else (5e-3, 0.04)
    for one, other in zip(lines_of(plain), lines_of(short), strict=True):
        norms = [line.pop("gradient_norm") for line in (one, other)]
        assert norms[1] == pytest.approx(norms[0], rel=1e-4 if exact else 0.1)
        assert other == pytest.approx(one, abs=tolerance)
    other = weights_of(short)
    for path, value in weights_of(plain).items():
        # A key's bias shifts all scores of a query alike, which softmax takes back:
        # its gradient is rounding alone, and its steps are as large as any other's.
        if not path.endswith("key/bias"):
            np.testing.assert_allclose(other[path], value, 0, moved, err_msg=path)
    assert not (short.folder / "frozen").exists()


def test_the_frozen_layers_run_once_a_row(tune, monkeypatch):
    rows = []
    states = frozen.FrozenLayers.states
    monkeypatch.setattr(
        frozen.FrozenLayers,
        "states",
        lambda self, examples, at: (
            rows.append(len(examples)) or states(self, examples, at)
        ),
    )
    whole = []
    call = frozen.Forward.__call__
    monkeypatch.setattr(
        frozen.Forward,
        "__call__",
        lambda self, *rest: whole.append(list(self._names)) or call(self, *rest),
    )
    tune(backbone_dropout=0.0, epochs=3)
    assert rows == [32, 2]  # two of the four validation rows are in train as well
    # Three validations on states, two final ones on ids.
    assert ["token_ids" in names for names in whole] == [False] * 3 + [True] * 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epochs": 2}, f"{USED} for 36 rows: 0.0 MB in memory"),
        ({"epochs": 1, "cache_frozen": True}, USED),
        ({"epochs": 1}, ""),
        ({"epochs": 2, "cache_frozen": False}, ""),
        ({"epochs": 2, "method": "full"}, ""),
        ({"epochs": 2, "backbone_dropout": 0.1}, "backbone_dropout=0 would let them"),
        ({"epochs": 2, "backbone_dropout": 0.1, "cache_frozen": False}, ""),
    ],
)
def test_what_the_user_is_told(tune, capsys, options, expected):
    tune(**{"backbone_dropout": 0.0, **options}, verbose=1)
    shown = capsys.readouterr().out
    assert expected in shown
    assert (USED in shown) == (USED in expected)
    assert ("keeps frozen layers" in shown) == ("would let" in expected)


def test_states_that_fit_nowhere_are_not_kept(tune, capsys, monkeypatch):
    monkeypatch.setattr(frozen, "available_memory", lambda: 0)
    monkeypatch.setattr(frozen, "free_space", lambda folder: 0)
    tune(backbone_dropout=0.0, epochs=2, verbose=1)
    shown = capsys.readouterr().out
    assert "no room in memory or on the disk: each epoch computes them" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "full"}, "training changes the first layers.*leave cache_frozen"),
        ({"backbone_dropout": 0.2}, "dropout is active in.*set backbone_dropout=0"),
    ],
)
def test_what_cannot_be_is_refused_when_asked_for(tune, options, message):
    with pytest.raises(ConfigError, match=message):
        tune(**{"backbone_dropout": 0.0, "cache_frozen": True, **options})


def test_other_rows_take_the_whole_way(tune):
    """A callback may predict anything while a training is short."""
    run = tune(backbone_dropout=0.0)
    whole, split = run.predictor.forward, frozen.Cuts.of(run.model).split
    table = run.task.rows(["good abc 1", "bad cba 22 !", "a"])
    encoded = run.task.encode(table, run.built.pretrained.tokenizer, None).examples
    states = frozen.FrozenStates(split)
    states.add(encoded)
    short = Predictor(run.built, run.task, run.labels, states.over(whole, split))
    expected = run.predictions(table)
    np.testing.assert_allclose(short.predictions(table), expected, 0, 1e-6)
    others = run.task.rows(["b", "good good good"])
    np.testing.assert_array_equal(short.predictions(others), run.predictions(others))


def test_states_are_found_by_what_a_row_holds(tune):
    """In any order, from several calls, and never those of another row."""
    run = tune(backbone_dropout=0.0)
    states = frozen.FrozenStates(frozen.Cuts.of(run.model).split)
    tokenizer, split = run.built.pretrained.tokenizer, states.split

    def encoded(*texts):
        return run.task.encode(run.task.rows(list(texts)), tokenizer, None).examples

    states.add(encoded("good abc", "bad"))
    states.add(encoded("bad", "a b c", "good abc"))  # one is new
    name = split.names[0]
    ours = states.find(encoded("a b c", "good abc", "bad", "a b c"), split)
    for row, text in enumerate(("a b c", "good abc", "bad", "a b c")):
        alone = frozen.FrozenStates(split)
        alone.add(encoded(text))
        found = alone.find(encoded(text), split)
        field = "sequences" if split.per_token[0] else "values"
        one, other = getattr(ours, field)[name][row], getattr(found, field)[name][0]
        np.testing.assert_allclose(one, other, 0, 1e-6)
    assert states.find(encoded("a b c", "a b d"), split) is None


def test_states_on_the_disk_go_however_a_training_ends(tune, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "available_memory", lambda: 0)
    place, kept = tmp_path / "run", []

    def stop(self, epoch, logs=None):
        kept.append((place / "frozen").is_dir())
        raise KeyboardInterrupt

    monkeypatch.setattr(MetricsFile, "on_epoch_begin", stop)
    with pytest.raises(InterruptedRunError):
        tune(epochs=2, backbone_dropout=0.0, verbose=0, output_dir=place)
    assert kept == [True]
    assert not (place / "frozen").exists()


def test_a_resumed_training_goes_on_alike(tune, tmp_path, monkeypatch):
    """The states are computed anew, and the same."""
    options = {
        "method": LAST, "epochs": 3, "batch_size": 8, "backbone_dropout": 0.0,
        "early_stopping": 0, "verbose": 0,
    }  # fmt: skip
    whole = tune(**options)
    states = frozen.FrozenLayers.states
    begin = MetricsFile.on_epoch_begin

    def stop(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    place = {"output_dir": tmp_path / "run"}
    with monkeypatch.context() as patched:
        patched.setattr(MetricsFile, "on_epoch_begin", stop)
        with pytest.raises(InterruptedRunError):
            tune(**options, **place)
    computed = []
    monkeypatch.setattr(
        frozen.FrozenLayers,
        "states",
        lambda *given: computed.append(1) or states(*given),
    )
    resumed = tune(**options, **place, resume=True)
    assert computed
    assert lines_of(resumed) == lines_of(whole)
    other = weights_of(resumed)
    for path, value in weights_of(whole).items():
        np.testing.assert_array_equal(other[path], value, err_msg=path)
