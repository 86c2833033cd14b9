"""Importing TensorFlow without its dozen lines about drivers that are not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, standard error closed meanwhile.

    What it writes there before it reads any setting concerns nobody: CPU features
    it uses, GPU drivers it does not find. An import that fails raises as ever.
    """
    with _silent_standard_error():
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 (writes the same lines once more)

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _silent_standard_error() -> Iterator[None]:
    """Points file descriptor 2 elsewhere: the lines come from C++."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
