"""A decoder that keeps keys and values, so that each token is computed once."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.compute.attention import attend_grouped
from tfft.compute.forward_only import forward_only
from tfft.models.structure import structure_of
from tfft.models.wiring.dropout import Dropouts
from tfft.models.wiring.packed_mask import up_to_itself
from tfft.models.wiring.wiring import wiring_of

# A step copies the keys and values of the recent places when it adds its own. Once
# there are this many they join the older ones, which a step only reads.
_RECENT = 64

_STEPS: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()


def decoding_step(backbone: Any) -> Any:
    """Returns the function that takes a decoder a step further.

    It is traced once for all batch sizes and lengths, and lives as long as the
    backbone. It reads the weights in each call. When layers or their settings have
    changed since it was traced, a new function takes its place.

    Args:
        backbone: A KerasHub decoder.

    Returns:
        A `tf.function`. Its arguments are the next tokens, shape (batch, count); the
        number of places before each prompt that are filled up, shape (batch,); and
        the keys and values of the older and of the recent places, a pair for each
        block, each of shape (batch, groups, places, head size). It returns the logits
        after the last token, float32 of shape (batch, vocabulary), and the recent
        keys and values, now with those of the tokens.
    """
    structure = structure_of(backbone)
    kept = _STEPS.get(backbone)
    if kept is None or kept[0] != structure:
        kept = _STEPS[backbone] = structure, _traceable(backbone)
    return kept[1]


def _traceable(backbone: Any) -> Any:
    wiring = wiring_of(backbone)
    groups, size = wiring.key_shape
    kept = tf.TensorSpec((None, groups, None, size), backbone.compute_dtype)
    caches = [(kept, kept) for _ in wiring.blocks]
    # A strong reference from the function would keep the backbone alive for good.
    reference = weakref.ref(backbone)

    def step(tokens: Any, blanks: Any, older: Any, recent: Any) -> Any:
        with forward_only():
            return _step(wiring_of(reference()), tokens, blanks, older, recent)

    return tf.function(
        step,
        autograph=False,
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            caches,
            caches,
        ],
    )


def _step(wiring: Any, tokens: Any, blanks: Any, older: Any, recent: Any) -> Any:
    before = tf.shape(older[0][0])[2] + tf.shape(recent[0][0])[2]
    places = before + tf.range(tf.shape(tokens)[1])
    positions = tf.maximum(places[None, :] - blanks[:, None], 0)
    keys = tf.range(before + tf.shape(tokens)[1])
    real = keys[None, :] >= blanks[:, None]
    mask = up_to_itself(places, keys, wiring.window)[None] & real[:, None]
    x = wiring.embed(tokens, positions)
    caches = []
    for block, *kept in zip(wiring.blocks, older, recent, strict=True):
        attend = _Attend(*kept, mask)
        x = wiring.block(block, x, positions, attend, Dropouts({}))
        caches.append(attend.recent)
    states = wiring.finish(x[:, -1:])[:, 0]
    matrix = tf.cast(tf.convert_to_tensor(wiring.matrix.value), states.dtype)
    logits = tf.matmul(states, matrix, transpose_b=wiring.is_tied)
    return tf.cast(logits, tf.float32), caches


class _Attend:
    """Attention over all that is kept, after keeping what is new."""

    def __init__(self, older: Any, recent: Any, mask: Any) -> None:
        self.older, self.recent, self.mask = older, recent, mask

    def __call__(self, query: Any, key: Any, value: Any, _: Any) -> Any:
        new = tuple(tf.transpose(one, (0, 2, 1, 3)) for one in (key, value))
        self.recent = tuple(
            tf.concat(pair, axis=2) for pair in zip(self.recent, new, strict=True)
        )
        keys, values = zip(self.older, self.recent, strict=True)
        return attend_grouped(query, keys, values, self.mask)


class CachedDecoder:
    """A decoder over a batch of prompts that end at the same place.

    Prompts of different lengths are filled up at their beginning; nothing sees
    what they are filled up with, and positions are counted without it.

    Args:
        backbone: A KerasHub decoder.
        blanks: How many places before each prompt are filled up, shape (batch,).
    """

    def __init__(self, backbone: Any, blanks: np.ndarray) -> None:
        self._step = decoding_step(backbone)
        self._blanks = tf.constant(blanks, tf.int32)
        wiring = wiring_of(backbone)
        groups, size = wiring.key_shape
        none = tf.zeros((len(blanks), groups, 0, size), backbone.compute_dtype)
        self._none = [(none, none) for _ in wiring.blocks]
        self._older = self._recent = self._none

    def __call__(self, token_ids: np.ndarray) -> np.ndarray:
        """Returns the logits after the last of some tokens.

        Args:
            token_ids: The next tokens of each row, shape (batch, count).

        Returns:
            Shape (batch, vocabulary), in float32.
        """
        ids = tf.constant(token_ids, tf.int32)
        logits, self._recent = self._step(ids, self._blanks, self._older, self._recent)
        if self._recent[0][0].shape[2] >= _RECENT:
            pairs = zip(self._older, self._recent, strict=True)
            self._older = [_joined(older, recent) for older, recent in pairs]
            self._recent = self._none
        return logits.numpy()


def _joined(older: Any, recent: Any) -> tuple[Any, Any]:
    """Returns keys and values of the older places and the recent ones behind them."""
    if not older[0].shape[2]:
        return recent
    keys, values = zip(older, recent, strict=True)
    return tf.concat(keys, axis=2), tf.concat(values, axis=2)
