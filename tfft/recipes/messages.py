"""What a training says of its labels and of a stop."""

from __future__ import annotations

from pathlib import Path

from tfft.core.errors import InterruptedRunError
from tfft.core.signals import TerminationSignal
from tfft.tasks.task import Labels


def listed(labels: Labels) -> str:
    """Returns the first labels in words; nothing for a task without labels."""
    names = ", ".join(str(label) for label in labels[:10])
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
