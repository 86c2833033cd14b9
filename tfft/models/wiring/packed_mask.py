"""Attention masks for packed rows."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def packed_mask(sequence_ids: Any, window: int | None = None) -> Any:
    """Returns a mask in which each token sees its own sequence, up to itself.

    Args:
        sequence_ids: The number of each token's sequence, shape (batch, length).
            Padding has a number too, and sees only padding.
        window: How many tokens each token sees, itself included. Defaults to None:
            all before it.

    Returns:
        Boolean, shape (batch, length, length).

    >>> packed_mask(tf.constant([[1, 1, 2]]))[0].numpy().astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    same = sequence_ids[:, :, None] == sequence_ids[:, None, :]
    positions = tf.range(tf.shape(sequence_ids)[1])
    return same & up_to_itself(positions, positions, window)


def up_to_itself(positions: Any, keys: Any, window: int | None) -> Any:
    """Returns a mask in which each token sees the keys up to its own position.

    Args:
        positions: Positions of the tokens, shape (length,).
        keys: Positions of the keys, shape (keys,).
        window: How many tokens each token sees, itself included; None for all before
            it.

    Returns:
        Boolean, shape (length, keys).

    >>> up_to_itself(tf.range(3), tf.range(3), window=2).numpy().astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    distance = positions[:, None] - keys[None, :]
    seen = distance >= 0
    return seen if window is None else seen & (distance < window)
