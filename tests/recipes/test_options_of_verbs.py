"""Every option of a training, in every verb that takes it: used, or refused by name."""

from __future__ import annotations

import dataclasses
import sys

import keras
import pytest

import tfft
from tfft.core.errors import ConfigError
from tfft.fitting.config import FinetuneConfig

FIELDS = {field.name for field in dataclasses.fields(FinetuneConfig)}
VERBS = {
    "tune": {"space": {"learning_rate": [0.01, 0.1]}, "search": "grid"},
    "repeat": {"seeds": 2},
    "cross_validate": {"folds": 2},
    "learning_curve": {"sizes": (0.5, 1)},
}
REFUSED = {
    "strategy": "mirrored",
    "save_every": 3,
    "keep_last": 4,
    "keep_best": 1,
    "log_every": 1,
    "profile": (1, 2),
    "projector": 8,
    "cache_frozen": True,
}
# What reads every field, to copy, check, compare or record a configuration.
BOOKKEEPERS = ("dataclasses", "copy", "tfft.core.config", "tfft.fitting.config",
               "tfft.fitting.config_checks", "tfft.fitting.record")  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("verb", VERBS)
def test_what_trainings_that_share_a_backbone_do_not_do_is_refused(
    verb, name, tmp_path
):
    """Before any work: neither the model nor the data is there."""
    options = {"model": "none", "data": "none.csv", "output_dir": tmp_path / "run"}
    with pytest.raises(ConfigError, match=rf"{name}=.*share a backbone.*finetune"):
        getattr(tfft, verb)(**options, **VERBS[verb], **{name: REFUSED[name]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("cache_frozen", False), ("log_every", 10), ("keep_last", 2)]
)
def test_what_happens_anyway_may_be_asked_for(name, value, tmp_path):
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
    # Read only where there is something to overwrite or to resume.
    assert FIELDS - read - {"overwrite", "resume"} == REFUSED.keys()


def test_a_single_training_uses_all_of_them(read, search_options, tmp_path):
    options = {**search_options, "method": "head", "epochs": 2, "profile": ()}
    tfft.finetune(**options, output_dir=tmp_path / "run")
    assert FIELDS - read == set()


def test_an_estimate_is_of_one_device(search_options):
    with pytest.raises(ConfigError, match=r"strategy='mirrored'.*one device"):
        tfft.estimate(**search_options, strategy="mirrored")


@pytest.mark.parametrize("given", [{"metric": "f1"}, {"on_bad_rows": "skip"}])
def test_an_ensemble_without_data_refuses_what_is_about_data(given):
    with pytest.raises(ConfigError, match=r"without data.*give data"):
        tfft.ensemble(["a", "b"], **given)
