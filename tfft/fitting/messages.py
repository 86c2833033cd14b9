"""Messages of a training: its labels, an interruption, a failure of TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tfft.core.errors import InterruptedRunError, LostWorkerError, OutOfMemoryError
from tfft.core.signals import TerminationSignal
from tfft.evaluation.tables import printable
from tfft.tasks.task import Labels


def described_labels(labels: Labels) -> str:
    r"""Returns the first labels on one line; an empty text without labels.

    >>> described_labels(["spam", "not\nspam"])
    ' · 2 labels: spam, not\\nspam'
    """
    names = ", ".join(printable(str(label)) for label in labels[:10])
    more = " …" if len(labels) > 10 else ""
    return f" · {len(labels)} labels: {names}{more}" if labels else ""


def interrupted(
    signal: KeyboardInterrupt, what: str, folder: Path, fix: str
) -> InterruptedRunError:
    """Returns the error for work that a signal stopped.

    Args:
        signal: What stopped it.
        what: The work, as a noun with its article if it has one.
        folder: Where it can go on.
        fix: What is there, and how to continue.
    """
    error = InterruptedRunError(f"{what} was stopped", where=str(folder), fix=fix)
    if isinstance(signal, TerminationSignal):
        error.exit_code = 143
    return error


@contextlib.contextmanager
def explained_failures(rows: int, tokens: int, folder: Path | None) -> Iterator[None]:
    """Turns failures of TensorFlow inside the block into errors with a fix.

    Args:
        rows: Rows of a step.
        tokens: Tokens of the longest row.
        folder: The run folder.

    Raises:
        OutOfMemoryError: When a step does not fit into memory.
        LostWorkerError: When another process of the training has died.
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
            "another worker of this training has died",
            where=str(folder),
            fix="start all workers again with resume: all go on from the checkpoint",
        ) from error
