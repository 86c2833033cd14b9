"""What all tests share; the fixtures themselves are in `tests/fixtures`."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Before any test imports TensorFlow, so that all of them compute with the same code.
import tfft  # noqa: F401

pytest_plugins = [
    "tests.fixtures.bert",
    "tests.fixtures.exports",
    "tests.fixtures.language",
    "tests.fixtures.reports",
    "tests.fixtures.rows",
    "tests.fixtures.trainings",
]

# Tracing makes so many objects that collecting after each 700 takes 14 % of all tests.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_finish():
    """Leaves what the imports made out of later collections."""
    gc.freeze()
