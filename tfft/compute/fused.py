"""Element-wise functions in one pass over their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tfft.compute.processor import is_for_processor

# Of fewer values the operations one by one take less than is gained by compiling the
# function, which takes about a tenth of a second for each new shape.
_LARGE = 2**21


def elementwise(function: Callable[[Any], Sequence[Any]], x: Any) -> Sequence[Any]:
    """Returns what an element-wise function makes of x, in one pass on a processor.

    TensorFlow writes what each operation of a function gives to memory, and reads it
    again for the next. Large arrays, inside `for_processor`, go through the function
    as XLA compiles it: each value is read once and each result written once.

    Args:
        function: Maps x to a list of tensors of its shape. Kept for the life of the
            process, with what is compiled of it: a function of a module, no closure.
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
