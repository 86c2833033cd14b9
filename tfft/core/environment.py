"""The environment: package versions, and settings that do not work."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from tfft.core.errors import ConfigError
from tfft.version import __version__

_PACKAGES = (
    "tensorflow",
    "keras",
    "keras-hub",
    "tokenizers",
    "safetensors",
    "numpy",
)


def versions() -> dict[str, str]:
    """Returns the versions of tfft, Python and the packages that affect results."""
    found = {"tfft": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def check_environment() -> None:
    """Raises for settings with which Keras would not run on TensorFlow.

    Raises:
        ConfigError: Names the variable; Keras itself would fail with a vaguer error.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ConfigError(
            f"KERAS_BACKEND={backend}",
            where="environment",
            expected="tensorflow",
            fix="set KERAS_BACKEND=tensorflow",
        )
    if os.environ.get("TF_USE_LEGACY_KERAS", "0") not in ("", "0", "false", "False"):
        raise ConfigError(
            "TF_USE_LEGACY_KERAS is set",
            where="environment",
            expected="Keras 3",
            fix="unset TF_USE_LEGACY_KERAS",
        )
