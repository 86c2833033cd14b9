"""Sets context variables inside a block."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def scoped(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Sets a context variable inside a `with` block.

    >>> variable = ContextVar("variable", default=1)
    >>> with scoped(variable, 2):
    ...     variable.get()
    2
    >>> variable.get()
    1
    """
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
