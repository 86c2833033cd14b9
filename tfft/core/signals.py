"""Signals that stop a training after its progress is saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_STOPS = (signal.SIGINT, signal.SIGTERM)


class TerminationSignal(KeyboardInterrupt):
    """SIGTERM as an exception; like Ctrl-C, but with another exit code."""


@contextlib.contextmanager
def termination_as_exception() -> Iterator[None]:
    """Raises `TerminationSignal` on SIGTERM inside the block.

    Afterward the previous handler is restored. Outside the main thread, where Python
    allows no handlers, this does nothing.
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
    """Delays SIGINT and SIGTERM until the end of the block.

    So work that belongs together, such as a step and its counters, is done completely
    or not at all. Outside the main thread signals never interrupt.

    Args:
        forget: Whether to drop signals that arrive during the block: for the work
            that a first signal has started.
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
