"""Every option of a training, in every verb that takes it: used, or refused by name."""

from __future__ import annotations

import dataclasses
import json
import sys

import keras
import pytest

import tfft
from tfft.core.errors import ConfigError
from tfft.evaluation.frozen_layers import FrozenLayers
from tfft.fitting.config import FinetuneConfig

FIELDS = {field.name for field in dataclasses.fields(FinetuneConfig)}
VERBS = {
    "tune": {"space": {"learning_rate": [0.01, 0.1]}, "search": "grid"},
    "repeat": {"seeds": 2},
    "cross_validate": {"folds": 2},
    "learning_curve": {"sizes": (0.5, 1)},
}
SERIES = {"strategy": "mirrored", "save_every": 3, "keep_last": 4, "keep_best": 1}
TRIALS = {"log_every": 1, "profile": (1, 2), "projector": 8}
# What a verb refuses, by option, with the value to refuse; it uses all others.
REFUSED = {
    "finetune": {},
    "tune": SERIES | TRIALS,
    "repeat": SERIES,
    "cross_validate": SERIES,
    "learning_curve": SERIES,
    "estimate": {"strategy": "mirrored"},
}
# What reads every field, to copy, check, compare or record a configuration.
BOOKKEEPERS = ("dataclasses", "copy", "tfft.core.config", "tfft.fitting.config",
               "tfft.fitting.config_checks", "tfft.fitting.record")  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "name"), [(verb, name) for verb in VERBS for name in REFUSED[verb]]
)
def test_what_several_trainings_cannot_do_is_refused(verb, name, tmp_path):
    """Before any work: neither the model nor the data exists."""
    options = {"model": "none", "data": "none.csv", "output_dir": tmp_path / "run"}
    with pytest.raises(ConfigError, match=rf"{name}=.*give it to finetune"):
        getattr(tfft, verb)(**options, **VERBS[verb], **{name: REFUSED[verb][name]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("log_every", 10), ("keep_last", 2)])
def test_a_default_may_be_given(name, value, tmp_path):
    options = {"model": "none", "data": "none.csv", "output_dir": tmp_path / "run"}
    with pytest.raises(tfft.TfftError, match=r"none\.csv"):
        tfft.repeat(**options, **{name: value})


class Seen(keras.callbacks.Callback):
    """Counts trainings and epochs."""

    def __init__(self):
        super().__init__()
        self.trainings, self.epochs = 0, 0

    def on_train_begin(self, logs=None):
        self.trainings += 1

    def on_epoch_end(self, epoch, logs=None):
        assert "val_loss" in logs
        self.epochs += 1


@pytest.fixture
def read(monkeypatch):
    """The options that are read to be used."""
    found = set()
    real = object.__getattribute__

    def reading(self, name):
        module = sys._getframe(1).f_globals["__name__"]
        if name in FIELDS and module not in BOOKKEEPERS:
            found.add(name)
        return real(self, name)

    monkeypatch.setattr(FinetuneConfig, "__getattribute__", reading)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_not_refused_is_used_and_callbacks_see_every_training(
    verb, read, search_options, make_rows, tmp_path
):
    seen = Seen()
    options = {
        **search_options,
        "data": make_rows(40),
        "validation": make_rows(24, seed=1),
        "method": "head",
        "epochs": 1,
        "callbacks": [seen],
    }
    if verb == "tune":
        options["prune"] = False
    getattr(tfft, verb)(**options, **VERBS[verb], output_dir=tmp_path / "run")
    assert (seen.trainings, seen.epochs) == (2, 2)
    # The last two are read only where there is something to overwrite or to resume.
    assert FIELDS - read <= REFUSED[verb].keys() | {"overwrite", "resume"}


def test_a_single_training_uses_all_of_them(read, search_options, tmp_path):
    options = {**search_options, "method": "head", "epochs": 2, "profile": ()}
    tfft.finetune(**options, output_dir=tmp_path / "run")
    assert FIELDS - read == set()


@pytest.fixture(scope="module")
def shared(search_options, make_rows):
    """Options of a training that leaves every kind of file."""
    return {
        **search_options,
        "data": make_rows(40),
        "validation": make_rows(24, seed=1),
        "method": "head",
        "log_every": 1,
        "projector": 4,
        "profile": (1, 1),
    }


@pytest.fixture(scope="module")
def alone(shared, tmp_path_factory):
    """The folder of one such training."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    return tfft.finetune(**shared, output_dir=folder).folder


@pytest.mark.parametrize("verb", ["repeat", "cross_validate", "learning_curve"])
def test_a_training_of_a_series_leaves_what_finetune_leaves(
    verb, shared, alone, tmp_path
):
    """The same files, the same keys in the metrics, the same curves."""
    getattr(tfft, verb)(**shared, **VERBS[verb], output_dir=tmp_path / "several")
    first = min((tmp_path / "several").glob("*-*/run.json")).parent
    ours, theirs = (_files(folder) for folder in (first, alone))
    assert ours == theirs
    for name in ("metrics.jsonl", "run.json"):
        one, other = (
            json.loads((folder / name).read_text().splitlines()[0])
            if name == "metrics.jsonl"
            else json.loads((folder / name).read_text())
            for folder in (first, alone)
        )
        assert one.keys() == other.keys()


def _files(folder):
    """The files of a run folder; event files by the writer alone."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        str(path.parent) if "tfevents" in path.name or "plugins" in path.parts
        else str(path)
        for path in found
        if path.parts[-1] != ".lock" and "plugins" not in path.parts
    }  # fmt: skip


def test_frozen_layers_are_computed_once_for_all_seeds_folds_and_trials(
    search_options, make_rows, tmp_path, monkeypatch
):
    computed = []
    states = FrozenLayers.states

    def counting(self, examples, folder):
        computed.append(len(examples))
        return states(self, examples, folder)

    monkeypatch.setattr(FrozenLayers, "states", counting)
    marks = ("".join("ab"[i >> bit & 1] for bit in range(5)) for i in range(32))
    rows = [
        {**row, "text": f"{row['text']} {mark}"}
        for row, mark in zip(make_rows(32), marks, strict=True)
    ]
    options = {**search_options, "data": rows, "validation": 8 / 32, "method": "head"}
    options["backbone_dropout"] = 0.0
    for verb in VERBS:
        computed.clear()
        getattr(tfft, verb)(**options, **VERBS[verb], output_dir=tmp_path / verb)
        assert sum(computed) == 32, verb
    assert not list(tmp_path.rglob("frozen"))


def test_cache_frozen_is_refused_in_every_verb_where_nothing_is_frozen(
    search_options, tmp_path
):
    for verb in VERBS:
        with pytest.raises(ConfigError, match="cache_frozen=True"):
            getattr(tfft, verb)(
                **search_options,
                **VERBS[verb],
                method="full",
                cache_frozen=True,
                output_dir=tmp_path / verb,
            )


def test_an_estimate_is_of_one_device(search_options):
    with pytest.raises(ConfigError, match=r"strategy='mirrored'.*one device"):
        tfft.estimate(**search_options, strategy="mirrored")


def test_an_estimate_uses_every_option_or_says_that_it_does_not_count(
    read, search_options
):
    options = {**search_options, "method": "head", "profile": (1, 2), "projector": 3}
    found = tfft.estimate(**options, keep_best=1)
    assert "time of profile, projector is not counted" in found.note
    assert found.disk == 3 / 2 * tfft.estimate(**search_options, method="head").disk
    # Files are those of the training itself, and a step of any rate takes as long.
    rates = {"learning_rate", "schedule", "schedule_power", "warmup", "warmup_steps"}
    assert FIELDS - read == {"output_dir", "overwrite", "resume", "verbose"} | rates


@pytest.mark.parametrize("given", [{"metric": "f1"}, {"on_bad_rows": "skip"}])
def test_an_ensemble_without_data_refuses_what_is_about_data(given):
    with pytest.raises(ConfigError, match=r"without data.*give data"):
        tfft.ensemble(["a", "b"], **given)
