"""What a training says of its labels, of a stop and of a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tfft.core.errors import InterruptedRunError, LostWorkerError, OutOfMemoryError
from tfft.core.signals import TerminationSignal
from tfft.evaluation.tables import printable
from tfft.tasks.task import Labels


def listed(labels: Labels) -> str:
    r"""Returns the first labels on one line; nothing for a task without labels.

    >>> listed(["spam", "not\nspam"])
    ' · 2 labels: spam, not\\nspam'
    """
    names = ", ".join(printable(str(label)) for label in labels[:10])
    more = " …" if len(labels) > 10 else ""
    return f" · {len(labels)} labels: {names}{more}" if labels else ""


def interrupted(signal: KeyboardInterrupt, folder: Path) -> InterruptedRunError:
    """Returns the error of a training that a signal stopped."""
    error = InterruptedRunError(
        "training was stopped",
        where=str(folder),
        fix="the weights so far are in the run folder; go on with resume",
    )
    if isinstance(signal, TerminationSignal):
        error.exit_code = 143
    return error


@contextlib.contextmanager
def told_failures(rows: int, tokens: int, folder: Path) -> Iterator[None]:
    """Turns failures of TensorFlow inside the block into errors that say what to do.

    Args:
        rows: Rows of a step.
        tokens: The most tokens of a row.
        folder: The run folder.

    Raises:
        OutOfMemoryError: When a step does not fit into memory.
        LostWorkerError: When another process of the training is gone.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemoryError(
            f"a step of {rows} rows of up to {tokens} tokens does not fit into memory",
            where="training",
            fix="raise accumulation, lower batch_size or task.max_length",
        ) from error
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise LostWorkerError(
            "another worker of this training is gone",
            where=str(folder),
            fix="start all workers again with resume: the last checkpoint is there",
        ) from error
