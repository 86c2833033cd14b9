"""Settings under which Keras would not run on TensorFlow are refused by name."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfft.core.environment import prepare_environment, versions
from tfft.core.errors import ConfigError
from tfft.version import __version__


@pytest.fixture(autouse=True)
def allocator(monkeypatch):
    """Leaves the choice of an allocator as it was."""
    for name in ("TF_CPU_ALLOCATOR_USE_BFC", "TF_CPU_BFC_MEM_LIMIT_IN_MB"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


@pytest.mark.parametrize("backend", ["jax", "torch", "TensorFlow", ""])
def test_another_backend_is_refused(monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ConfigError) as caught:
        prepare_environment()
    assert caught.value.what == f"KERAS_BACKEND={backend}"
    assert caught.value.fix == "set KERAS_BACKEND=tensorflow"


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_keras_2_is_refused(monkeypatch, value):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    with pytest.raises(ConfigError, match="TF_USE_LEGACY_KERAS is set"):
        prepare_environment()


@pytest.mark.parametrize("backend", [None, "tensorflow"])
@pytest.mark.parametrize("legacy", [None, "", "0", "false", "False"])
def test_harmless_settings_pass(monkeypatch, backend, legacy):
    for name, value in (("KERAS_BACKEND", backend), ("TF_USE_LEGACY_KERAS", legacy)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert prepare_environment() is None


@pytest.mark.parametrize("said", [None, "false"])
def test_arrays_come_out_of_a_pool_unless_the_user_says_no(said):
    program = (
        "from tfft.core.environment import prepare_environment as prepare; prepare()\n"
        "import tensorflow as tf\n"
        "held = tf.ones(1000)\n"
        "print(tf.config.experimental.get_memory_info('CPU:0')['current'])"
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPU_")}
    own = {"TF_CPU_ALLOCATOR_USE_BFC": said} if said else {}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**plain, **own},
        capture_output=True,
        text=True,
    )
    # TensorFlow counts bytes for its pool alone.
    if said:
        assert "Allocator stats not available" in done.stderr
    else:
        assert int(done.stdout) >= 4000


def test_versions_are_those_that_run():
    found = versions()
    assert found["tfft"] == __version__
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["keras"] == keras.__version__
    assert set(found) >= {"tensorflow", "keras-hub", "tokenizers", "safetensors"}
