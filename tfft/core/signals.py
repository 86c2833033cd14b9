"""Stopping by a signal, where what was learned is still saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class TerminationSignal(KeyboardInterrupt):
    """SIGTERM, as an exception; treated as Ctrl-C but for the exit code."""


@contextlib.contextmanager
def termination_as_exception() -> Iterator[None]:
    """Raises `TerminationSignal` on SIGTERM inside the block.

    The former handler is put back. Outside the main thread, where Python allows no
    handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        raise TerminationSignal

    former = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
