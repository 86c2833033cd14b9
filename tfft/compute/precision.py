"""In what numbers a backbone computes."""

from __future__ import annotations

from typing import Any

from tfft.compute.layers import spots


def compute_policy(backbone: Any) -> str:
    """Returns the name of the policy a backbone computes under."""
    return backbone.dtype_policy.name


def set_compute_policy(backbone: Any, policy: str) -> None:
    """Makes every layer of a backbone compute under another policy.

    Weights stay as they are. Functions traced before keep the old policy: trace
    anew.

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
    """Returns x in float32, or as it is when its dtype is no narrower."""
    import tensorflow as tf

    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x
