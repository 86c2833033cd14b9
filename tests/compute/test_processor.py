"""TensorFlow's settings for processors: made on import, unless the user made them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import tfft
import tensorflow as tf
tf.config.experimental.get_memory_info("CPU:0")
"""


@pytest.mark.parametrize("said", [None, "0"])
def test_onednn_is_taken_unless_the_user_says_no(said):
    own = {} if said is None else {"TF_ENABLE_ONEDNN_OPTS": said}
    plain = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**plain, **own},
        capture_output=True,
        text=True,
    )
    # TensorFlow counts an allocator's bytes for oneDNN's pool, not without it.
    assert done.returncode == (0 if said is None else 1), done.stderr
    assert ("stats not available" in done.stderr) == (said is not None)
