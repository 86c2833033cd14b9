"""The number format in which a backbone computes."""

from __future__ import annotations

from typing import Any

from tfft.compute.layers import spots


def compute_policy(backbone: Any) -> str:
    """Returns the name of the dtype policy that a backbone computes under."""
    return backbone.dtype_policy.name


def set_compute_policy(backbone: Any, policy: str) -> None:
    """Makes every layer of a backbone compute under another dtype policy.

    The weights do not change. Functions that are already traced keep the old policy:
    trace them again.

    Args:
        backbone: A built backbone with float32 weights.
        policy: "float32" or "mixed_bfloat16".
    """
    import keras

    chosen = keras.DTypePolicy(policy)
    backbone.dtype_policy = chosen
    for spot in spots(backbone):
        spot.layer.dtype_policy = chosen


def wide(x: Any) -> Any:
    """Returns x in float32, or unchanged if its dtype is at least as wide."""
    import tensorflow as tf

    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x
