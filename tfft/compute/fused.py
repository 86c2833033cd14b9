"""Element-wise functions in a single pass over their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tfft.compute.processor import is_for_processor

# With fewer values, compiling costs more than it saves: about a tenth of a second for
# each new shape.
_LARGE = 2**21


def elementwise(function: Callable[[Any], Sequence[Any]], x: Any) -> Sequence[Any]:
    """Returns the results of an element-wise function, in a single pass on a CPU.

    TensorFlow writes the result of each operation to memory and reads it again for the
    next one. Inside `for_processor`, XLA compiles the function for large arrays: each
    value is read once and each result is written once.

    Args:
        function: Maps x to a list of tensors of the same shape. It is kept
            for the life of the process, compiled: pass a module's function, no closure.
        x: A tensor.

    >>> import tensorflow as tf
    >>> from tfft.compute.processor import for_processor
    >>> with for_processor():
    ...     (y,) = elementwise(lambda x: [x + 1], tf.zeros(2**21))
    >>> y.numpy()[:2]
    array([1., 1.], dtype=float32)
    """
    if not is_for_processor():
        return function(x)
    import tensorflow as tf

    return tf.cond(
        tf.size(x) >= _LARGE, lambda: _compiled(function)(x), lambda: function(x)
    )


@functools.cache
def _compiled(function: Callable[[Any], Sequence[Any]]) -> Callable[[Any], Any]:
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)
