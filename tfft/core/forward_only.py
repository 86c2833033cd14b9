"""Computing what a network answers, and no gradient."""

import contextlib
import contextvars
from collections.abc import Iterator

_forward_only = contextvars.ContextVar("forward_only", default=False)


@contextlib.contextmanager
def forward_only() -> Iterator[None]:
    """Has what is traced inside a `with` block be fit for answers alone.

    A gradient can still be taken of it, and takes longer than it would have to.
    """
    token = _forward_only.set(True)
    try:
        yield
    finally:
        _forward_only.reset(token)


def is_forward_only() -> bool:
    """Tells whether a `forward_only` block is open.

    >>> with forward_only():
    ...     is_forward_only()
    True
    """
    return _forward_only.get()
