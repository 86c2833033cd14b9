"""Starts TensorFlow without the log lines that every start prints."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_EVERYTHING, _WARNINGS = "0", "1"
_STANDARD_ERROR = 2
# TensorFlow writes these before it reads the level: infos, and that there is no
# driver (303) or no GPU, which tfft says itself where it names the device.
_ROUTINE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|I0000 "
    rb"|E0000 .* cuInit: .*(\(303\)|CUDA_ERROR_NO_DEVICE)"
)
_lock = threading.Lock()


def start_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, and hides only routine log lines.

    Sets TF_CPP_MIN_LOG_LEVEL to 1, so that warnings and errors are shown, unless the
    user has set it. With 0 nothing is hidden. Does nothing when TensorFlow is already
    imported.

    Raises:
        ImportError: When TensorFlow cannot be imported.
    """
    with _lock:
        if "tensorflow" in sys.modules:
            return
        level = os.environ.setdefault(_LEVEL, _WARNINGS)
        hide = contextlib.nullcontext() if level == _EVERYTHING else _without_routine()
        with hide:
            import tensorflow as tf
            import tensorflow_text  # noqa: F401 (prints the same lines again)

            tf.config.list_physical_devices()


@contextlib.contextmanager
def _without_routine() -> Iterator[None]:
    """Holds standard error back, then writes it without the routine lines.

    C++ code writes to the file descriptor, so replacing `sys.stderr` would not do.
    """
    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:  # the program has no standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _ROUTINE.match(line):
                    os.write(_STANDARD_ERROR, line)
