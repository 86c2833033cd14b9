"""Computing what a network answers, and no gradient."""

import contextvars
from contextlib import AbstractContextManager

from tfft.compute.scoped import scoped

_forward_only = contextvars.ContextVar("forward_only", default=False)


def forward_only() -> AbstractContextManager[None]:
    """Has what is traced inside a `with` block be fit for answers alone.

    A gradient can still be taken of it, and takes longer than it would have to.
    """
    return scoped(_forward_only, True)


def is_forward_only() -> bool:
    """Tells whether a `forward_only` block is open.

    >>> with forward_only():
    ...     is_forward_only()
    True
    """
    return _forward_only.get()
