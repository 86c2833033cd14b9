"""Stopping by a signal, where what was learned is still saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_STOPS = (signal.SIGINT, signal.SIGTERM)


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


@contextlib.contextmanager
def uninterrupted(*, forget: bool = False) -> Iterator[None]:
    """Lets SIGINT and SIGTERM wait until the end of the block.

    What belongs together, such as a step and its counters, is then done wholly or
    not at all. Outside the main thread signals never interrupt.

    Args:
        forget: Whether signals of the meantime are dropped: for the work that a
            first signal has set off.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    former = {number: signal.signal(number, remember) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        if received and not forget:
            signal.raise_signal(received[0])
