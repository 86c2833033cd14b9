"""Settings for computing on a CPU."""

import contextvars
import os
from contextlib import AbstractContextManager

from tfft.compute.scoped import scoped

_for_processor = contextvars.ContextVar("for_processor", default=False)


def for_processor(wanted: bool = True) -> AbstractContextManager[None]:
    """Makes functions traced inside a `with` block compute in ways that suit a CPU.

    Use it for training and for batches. There TensorFlow runs one operation after the
    other, and most of them wait for memory. Do not use it with XLA, which fuses
    operations itself, on a GPU, which prefers other shapes, or for converters, which
    would find conditionals and concatenations instead of plain expressions.

    Args:
        wanted: False leaves everything as it is. Defaults to True.
    """
    return scoped(_for_processor, wanted or _for_processor.get())


def is_for_processor() -> bool:
    """Returns whether a `for_processor` block is open.

    >>> with for_processor():
    ...     is_for_processor()
    True
    """
    return _for_processor.get()


def on_processor() -> bool:
    """Returns whether TensorFlow has no device but the CPU."""
    import tensorflow as tf

    return {one.device_type for one in tf.config.list_logical_devices()} == {"CPU"}


def choose_processor_code() -> None:
    """Turns oneDNN on unless the user chose; call this before importing TensorFlow.

    TensorFlow by itself uses oneDNN only on CPUs with AVX512-VNNI or newer. Without it,
    products of many small matrices take twice as long, and the memory of every array is
    requested from the system and returned, where oneDNN pools it. On systems with
    expensive clean pages, such as many virtual machines, that takes longer than the
    arithmetic.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
