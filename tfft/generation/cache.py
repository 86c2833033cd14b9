"""A decoder that keeps keys and values, so that each token is computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfft.models.attention import attend
from tfft.models.wiring.dropout import Dropouts
from tfft.models.wiring.packed_mask import up_to_itself
from tfft.models.wiring.wiring import Wiring


class CachedDecoder:
    """A decoder over a batch of prompts that end at the same place.

    Prompts of different lengths are filled up at their beginning; nothing sees
    what they are filled up with, and positions are counted without it.

    Args:
        wiring: The decoder.
        blanks: How many places before each prompt are filled up, shape (batch,).
        capacity: The most places, prompt included.
    """

    def __init__(self, wiring: Wiring, blanks: np.ndarray, capacity: int) -> None:
        self.wiring = wiring
        self.blanks = tf.constant(blanks, tf.int32)
        shape = (len(blanks), capacity, *wiring.key_shape)
        dtype = wiring.backbone.compute_dtype
        self.caches = [
            tuple(tf.Variable(tf.zeros(shape, dtype), trainable=False) for _ in "kv")
            for _ in wiring.blocks
        ]
        self._step = tf.function(self._compute, reduce_retracing=True)

    def __call__(self, token_ids: np.ndarray, start: int) -> np.ndarray:
        """Returns the logits after the last of some tokens.

        Args:
            token_ids: The next tokens of each row, shape (batch, count).
            start: The place of the first of them.

        Returns:
            Shape (batch, vocabulary), in float32.
        """
        ids = tf.constant(token_ids, tf.int32)
        return self._step(ids, tf.constant(start, tf.int32)).numpy()

    def _compute(self, token_ids: Any, start: Any) -> Any:
        places = start + tf.range(tf.shape(token_ids)[1])
        positions = tf.maximum(places[None, :] - self.blanks[:, None], 0)
        mask = self._mask(places)
        x = self.wiring.embed(token_ids, positions)
        for block, cache in zip(self.wiring.blocks, self.caches, strict=True):
            attend = _Attend(cache, start, mask)
            x = self.wiring.block(block, x, positions, attend, Dropouts({}))
        states = self.wiring.finish(x[:, -1:])[:, 0]
        matrix = tf.cast(tf.convert_to_tensor(self.wiring.matrix.value), states.dtype)
        logits = tf.matmul(states, matrix, transpose_b=self.wiring.is_tied)
        return tf.cast(logits, tf.float32)

    def _mask(self, places: Any) -> Any:
        """Returns which places each token sees, shape (batch, count, capacity)."""
        keys = tf.range(self.caches[0][0].shape[1])
        before = up_to_itself(places, keys, self.wiring.window)
        real = keys[None, :] >= self.blanks[:, None]
        return before[None] & real[:, None]


class _Attend:
    """Attention over all that is kept, after keeping what is new."""

    def __init__(self, cache: tuple[Any, Any], start: Any, mask: Any) -> None:
        self.cache, self.start, self.mask = cache, start, mask

    def __call__(self, query: Any, key: Any, value: Any, _: Any) -> Any:
        end = self.start + tf.shape(key)[1]
        for kept, new in zip(self.cache, (key, value), strict=True):
            kept[:, self.start : end].assign(new)
        keys, values = (kept.read_value() for kept in self.cache)
        return attend(query, keys, values, self.mask)
