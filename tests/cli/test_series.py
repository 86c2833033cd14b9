"""The commands of folds, seeds, curves and ensembles reach their recipes."""

from __future__ import annotations

import importlib

import pytest

from tfft.cli.main import main
from tfft.cli.series import SERIES

TRAINING = ["--model", "m", "--data", "d", "--output_dir", "o"]


@pytest.fixture
def given(monkeypatch):
    """What the recipes are called with, instead of being run."""
    found = {}
    for _, recipe, _ in SERIES.values():
        module = importlib.import_module(f"tfft.recipes.{recipe}")
        monkeypatch.setattr(module, recipe, lambda **options: found.update(options))
    return found


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("cross-validate", {"folds": "3", "group": "thread", "against": "runs/a"}),
        ("repeat", {"seeds": "7,8"}),
        ("learning-curve", {"sizes": "0.5,1", "metric": "macro_f1"}),
    ],
)
def test_options_of_command_and_training_reach_the_recipe(command, own, given):
    words = [word for name, value in own.items() for word in (f"--{name}", value)]
    assert main([command, *TRAINING, *words, "--method.rank", "4"]) == 0
    assert given == {
        "model": "m",
        "data": "d",
        "output_dir": "o",
        "method": {"name": "lora", "rank": "4"},
        **own,
    }


def test_a_file_may_hold_the_commands_own_options(given, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: m\ndata: d\noutput_dir: o\nfolds: 3\n")
    assert main(["cross-validate", "--config", str(path), "--group", "thread"]) == 0
    assert (given["folds"], given["group"]) == (3, "thread")


def test_an_option_of_another_command_is_refused(capsys):
    assert main(["repeat", *TRAINING, "--folds", "3"]) == 2
    assert "unknown option --folds" in capsys.readouterr().err


def test_what_is_missing_is_named(capsys):
    assert main(["repeat", "--model", "m"]) == 2
    assert "--data, --output_dir not given" in capsys.readouterr().err


def test_an_ensemble_is_scored_and_exported(box, tmp_path, capsys):
    names = ["one", "two"]
    for seed, name in enumerate(names):
        more = ["--method", "head", "--epochs", "1", "--seed", str(seed)]
        assert main(box.good_with(*more, out=name)) == 0
    folders = [str(box.folder / name) for name in names]
    rows = tmp_path / "test.csv"
    rows.write_text("text,label\ngood a,pos\nbad b,neg\ngood c,pos\n")
    command = ["ensemble", *folders, "--data", str(rows), "--metric", "accuracy"]
    assert main([*command, "--output_dir", str(tmp_path / "soup")]) == 2
    assert "'average' with output_dir" in capsys.readouterr().err
    assert main([*command, "--how", "vote"]) == 0
    shown = capsys.readouterr().out
    assert "Members and ensemble" in shown
    assert "vote of 2: accuracy" in shown
    soup = ["--how", "soup", "--output_dir", str(tmp_path / "soup")]
    assert main([*command, *soup, "--export", str(tmp_path / "served")]) == 0
    assert f"exported: {tmp_path / 'served' / '1'}" in capsys.readouterr().out
    assert (tmp_path / "soup" / "run.json").is_file()


def test_an_ensemble_without_a_purpose_is_refused(capsys):
    assert main(["ensemble", "a", "b"]) == 2
    assert "nothing to do with the ensemble" in capsys.readouterr().err
