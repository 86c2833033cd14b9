"""Element-wise functions a block of rows at a time."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Values of a block, 3 MB in float32: what one operation writes is in the processor's
# cache when the next one reads it.
_BLOCK_VALUES = 768 * 2**10

_blockwise = contextvars.ContextVar("blockwise", default=False)


@contextlib.contextmanager
def in_blocks(wanted: bool = True) -> Iterator[None]:
    """Has `elementwise` work in blocks inside a `with` block.

    For what is traced to train on a processor. XLA joins the operations by itself,
    and a converter would meet a loop where there was an expression.

    Args:
        wanted: False changes nothing. Defaults to True.
    """
    token = _blockwise.set(wanted or _blockwise.get())
    try:
        yield
    finally:
        _blockwise.reset(token)


def elementwise(
    function: Callable[[Any], Sequence[Any]], x: Any, kinds: Sequence[Any]
) -> Sequence[Any]:
    """Returns what an element-wise function makes of x.

    Args:
        function: Maps x, or rows of it, to tensors of the same shape.
        x: Shape (..., size).
        kinds: The dtype of each of those tensors.

    >>> import tensorflow as tf
    >>> with in_blocks():
    ...     (y,) = elementwise(lambda x: [x + 1], tf.constant([[1.0]]), [tf.float32])
    >>> y.numpy()
    array([[2.]], dtype=float32)
    """
    if not _blockwise.get() or x.shape.rank == 0 or not x.shape[-1]:
        return function(x)
    import tensorflow as tf

    rows = tf.reshape(x, (-1, x.shape[-1]))
    count = tf.shape(rows)[0]
    blocks = tf.maximum(-(-count // max(_BLOCK_VALUES // x.shape[-1], 1)), 1)
    size = -(-count // blocks)
    padded = tf.pad(rows, [[0, blocks * size - count], [0, 0]])
    parts = tf.map_fn(
        function,
        tf.reshape(padded, (blocks, size, x.shape[-1])),
        fn_output_signature=list(kinds),
        parallel_iterations=1,
    )
    whole = (tf.reshape(part, (-1, x.shape[-1]))[:count] for part in parts)
    return [tf.reshape(part, tf.shape(x)) for part in whole]
