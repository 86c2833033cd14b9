"""Settings under which Keras would not run on TensorFlow are refused by name."""

from __future__ import annotations

import platform

import keras
import numpy as np
import pytest

from tfft.core.environment import check_environment, versions
from tfft.core.errors import ConfigError
from tfft.version import __version__


@pytest.mark.parametrize("backend", ["jax", "torch", "TensorFlow", ""])
def test_another_backend_is_refused(monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ConfigError) as caught:
        check_environment()
    assert caught.value.what == f"KERAS_BACKEND={backend}"
    assert caught.value.fix == "set KERAS_BACKEND=tensorflow"


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_keras_2_is_refused(monkeypatch, value):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    with pytest.raises(ConfigError, match="TF_USE_LEGACY_KERAS is set"):
        check_environment()


@pytest.mark.parametrize("backend", [None, "tensorflow"])
@pytest.mark.parametrize("legacy", [None, "", "0", "false", "False"])
def test_harmless_settings_pass(monkeypatch, backend, legacy):
    for name, value in (("KERAS_BACKEND", backend), ("TF_USE_LEGACY_KERAS", legacy)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert check_environment() is None


def test_versions_are_those_that_run():
    found = versions()
    assert found["tfft"] == __version__
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["keras"] == keras.__version__
    assert set(found) >= {"tensorflow", "keras-hub", "tokenizers", "safetensors"}
