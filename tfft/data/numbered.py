"""A `tf.data.Dataset` that calls a Python function with 0, 1, 2 and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Element = Mapping[str, np.ndarray]


def numbered_dataset(
    make: Callable[[int], Element], signature: Mapping[str, Any], first: int = 0
) -> Any:
    """Returns an endless dataset of dicts, each made from a number.

    Autotuning is off. There is nothing to tune, and TensorFlow 2.21 deletes an iterator
    only when the tuning thread has finished its sleep: that takes seconds after each
    training. `from_generator` is not used because it changes malloc in that version:
    iterating a generator sets the trim threshold to 128 kB for the rest of the process.
    Without oneDNN, which has its own memory pool, operations on arrays of megabytes
    then take three times as long.

    Args:
        make: Maps a number to an element.
        signature: The `tf.TensorSpec` of each name.
        first: The first number.

    >>> import tensorflow as tf
    >>> squares = numbered_dataset(
    ...     lambda n: {"n": np.array(n * n)}, {"n": tf.TensorSpec((), tf.int64)})
    >>> [int(one["n"]) for one in squares.take(4)]
    [0, 1, 4, 9]
    """
    import tensorflow as tf

    kinds = [spec.dtype for spec in signature.values()]

    def values(number: np.ndarray) -> list[np.ndarray]:
        element = make(int(number))
        return [
            np.asarray(element[name], kind.as_numpy_dtype)
            for name, kind in zip(signature, kinds, strict=True)
        ]

    def element(number: Any) -> dict[str, Any]:
        found = tf.numpy_function(values, [number], kinds)
        return {
            name: tf.ensure_shape(value, signature[name].shape)
            for name, value in zip(signature, found, strict=True)
        }

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.counter(first).map(element).with_options(options)
