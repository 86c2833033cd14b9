"""The head of a classifier: dropout and a dense layer."""

from __future__ import annotations

from typing import Any

import keras

from tfft.core.seeds import derive


def new_head(
    num_classes: int, dropout: float, seed: int, name: str = "classifier"
) -> tuple[Any, Any]:
    """Returns the dropout before a head and the dense layer of its logits.

    Args:
        num_classes: Number of classes.
        dropout: Dropout on the inputs.
        seed: For the kernel and the dropout.
        name: Name of the dense layer.
    """
    drop = keras.layers.Dropout(
        dropout, seed=derive(seed, "head", "dropout"), name=f"{name}_dropout"
    )
    # float32 even on a bfloat16 backbone, because logits can differ by little.
    classifier = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=0.02, seed=derive(seed, "head", "kernel")
        ),
        dtype="float32",
        name=name,
    )
    return drop, classifier
