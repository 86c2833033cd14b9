"""How TensorFlow computes on a processor."""

import contextvars
import os
from contextlib import AbstractContextManager

from tfft.compute.scoped import scoped

_for_processor = contextvars.ContextVar("for_processor", default=False)


def for_processor(wanted: bool = True) -> AbstractContextManager[None]:
    """Has what is traced inside a `with` block compute in ways that suit a processor.

    For training and for batches, where TensorFlow runs one operation after the other
    and most of them wait for memory. XLA joins the operations by itself, a GPU wants
    other shapes, and a converter would meet conditionals and concatenations where
    there was an expression.

    Args:
        wanted: False changes nothing. Defaults to True.
    """
    return scoped(_for_processor, wanted or _for_processor.get())


def is_for_processor() -> bool:
    """Tells whether a `for_processor` block is open.

    >>> with for_processor():
    ...     is_for_processor()
    True
    """
    return _for_processor.get()


def on_processor() -> bool:
    """Tells whether a CPU is all that TensorFlow has to compute on."""
    import tensorflow as tf

    return {one.device_type for one in tf.config.list_logical_devices()} == {"CPU"}


def choose_processor_code() -> None:
    """Turns oneDNN on, unless the user has said; TensorFlow reads it when imported.

    By itself TensorFlow takes oneDNN where the processor has AVX512-VNNI or newer.
    Without it products of many small matrices take twice as long, and every array's
    memory is asked of the system and given back, where oneDNN's pool keeps it: where
    clean pages are dear, as in many virtual machines, that takes longer than the
    arithmetic.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
