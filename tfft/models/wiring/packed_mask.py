"""Which tokens of a packed row see which."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def packed_mask(sequence_ids: Any, window: int | None = None) -> Any:
    """Returns which keys each token sees: its own sequence, up to itself.

    Args:
        sequence_ids: The number of the sequence of each token, shape (batch,
            length); padding has a number too, and sees padding.
        window: How many tokens each sees, itself included. Defaults to all.

    Returns:
        Boolean, shape (batch, length, length).

    >>> packed_mask(tf.constant([[1, 1, 2]]))[0].numpy().astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    length = tf.shape(sequence_ids)[1]
    same = sequence_ids[:, :, None] == sequence_ids[:, None, :]
    order = tf.range(length)
    distance = order[:, None] - order[None, :]
    seen = distance >= 0
    if window is not None:
        seen &= distance < window
    return same & seen
