"""Marks computations that need no gradient."""

import contextvars
from contextlib import AbstractContextManager

from tfft.compute.scoped import scoped

_forward_only = contextvars.ContextVar("forward_only", default=False)


def forward_only() -> AbstractContextManager[None]:
    """Makes functions traced inside a `with` block fast for inference.

    Gradients still work, but take longer than those of other functions.
    """
    return scoped(_forward_only, True)


def is_forward_only() -> bool:
    """Returns whether a `forward_only` block is open.

    >>> with forward_only():
    ...     is_forward_only()
    True
    """
    return _forward_only.get()
