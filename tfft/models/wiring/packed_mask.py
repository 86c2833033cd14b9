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
    same = sequence_ids[:, :, None] == sequence_ids[:, None, :]
    places = tf.range(tf.shape(sequence_ids)[1])
    return same & up_to_itself(places, places, window)


def up_to_itself(places: Any, keys: Any, window: int | None) -> Any:
    """Returns which keys the token at each place sees.

    Args:
        places: Of the tokens, shape (length,).
        keys: Of the keys, shape (keys,).
        window: How many tokens each sees, itself included; None for all before it.

    Returns:
        Boolean, shape (length, keys).

    >>> up_to_itself(tf.range(3), tf.range(3), window=2).numpy().astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    distance = places[:, None] - keys[None, :]
    seen = distance >= 0
    return seen if window is None else seen & (distance < window)
