"""Learned keys and values in front of those of an attention layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfft.methods.layers.attached import Attached, bound


class PrefixLayer(Attached):
    """Learned keys and values that every token of an attention layer can see.

    Args:
        host: The attention layer.
        length: Number of keys.
        shape: Number of key heads and size of a head.
        **options: Those of `Attached`.
    """

    def __init__(
        self, host: Any, length: int, shape: tuple[int, int], **options: Any
    ) -> None:
        super().__init__(host, **options)
        self.length, self.shape = length, shape

    def make_weights(self) -> None:
        """Creates keys and values, shape (length, heads, head size)."""
        shape = (self.length, *self.shape)
        for index, name in enumerate(("keys", "values")):
            normal = keras.initializers.RandomNormal(
                stddev=0.02, seed=None if self.seed is None else self.seed + index
            )
            weight = self.add_weight(
                name=name, shape=shape, initializer=normal, dtype="float32"
            )
            setattr(self, name, weight)

    @property
    def learned_inputs(self) -> list[Any]:
        """The keys and values."""
        return [self.keys, self.values]

    def around(self, original: Any, *args: Any, **options: Any) -> Any:
        """Returns the attention with the prefix added to keys, values and mask."""
        given = bound(original, args, options)
        key, value, mask = given["key"], given["value"], given["attention_mask"]
        if mask is None:
            shape = ops.shape(key)
            mask = ops.ones((shape[0], 1, shape[1]), "bool")
        given["key"] = self._before(self.keys, key)
        given["value"] = self._before(self.values, value)
        given["attention_mask"] = self.before_mask(mask, self.length)
        return original(**given)

    def _before(self, prefix: Any, states: Any) -> Any:
        """Puts the prefix before states of shape (batch, length, heads, head size)."""
        prefix = ops.cast(prefix, states.dtype)
        # For grouped queries, KerasHub has already repeated the keys and values.
        repeats = states.shape[2] // self.shape[0]
        if repeats > 1:
            prefix = ops.repeat(prefix, repeats, axis=1)
        shape = (ops.shape(states)[0], *prefix.shape)
        return ops.concatenate([ops.broadcast_to(prefix, shape), states], axis=1)
