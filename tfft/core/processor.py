"""What TensorFlow computes with on a processor."""

import os


def choose_processor_code() -> None:
    """Turns oneDNN on, unless the user has said; TensorFlow reads it when imported.

    By itself TensorFlow takes oneDNN where the processor has AVX512-VNNI or newer.
    Without it products of many small matrices take twice as long, and every array's
    memory is asked of the system and given back, where oneDNN's pool keeps it: where
    clean pages are dear, as in many virtual machines, that takes longer than the
    arithmetic.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
