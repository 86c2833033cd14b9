"""What all tests share; the fixtures themselves are in `tests/fixtures`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Before any test imports TensorFlow, so that all of them compute with the same code.
import tfft  # noqa: F401

pytest_plugins = [
    "tests.fixtures.bert",
    "tests.fixtures.exports",
    "tests.fixtures.language",
    "tests.fixtures.rows",
    "tests.fixtures.trainings",
]
