"""The decoding step: the one forward pass that runs and exported models share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfft.compute.attention import attend_grouped
from tfft.models.wiring.packed_mask import up_to_itself
from tfft.models.wiring.seeded_dropout import Dropouts
from tfft.models.wiring.wiring import Wiring

# Each step copies the recent keys and values when it appends its own. Once there are
# this many, they are appended to the older ones, which a step only reads.
_RECENT = 64


class Cache(NamedTuple):
    """The keys and values of one block, in two pieces.

    Attributes:
        older: Keys and values, each of shape (batch, groups, places, head size).
        recent: Those of the places after them, fewer than 64.
    """

    older: tuple[Any, Any]
    recent: tuple[Any, Any]


def cache_specs(wiring: Wiring) -> list[Cache]:
    """Returns the shapes and types of the caches of all blocks."""
    groups, size = wiring.key_shape
    spec = tf.TensorSpec((None, groups, None, size), wiring.backbone.compute_dtype)
    return [Cache((spec, spec), (spec, spec)) for _ in wiring.blocks]


def empty_caches(wiring: Wiring, rows: Any) -> list[Cache]:
    """Returns caches that hold no place yet.

    Args:
        wiring: The decoder.
        rows: The number of rows in the batch.
    """
    groups, size = wiring.key_shape
    empty = tf.zeros((rows, groups, 0, size), wiring.backbone.compute_dtype)
    return [Cache((empty, empty), (empty, empty)) for _ in wiring.blocks]


def decode_step(
    wiring: Wiring, token_ids: Any, blanks: Any, caches: Sequence[Cache]
) -> tuple[Any, list[Cache]]:
    """Computes the next tokens of each row and appends them to the caches.

    Prompts of different lengths are padded on the left. No token attends to padding,
    and positions do not count it.

    Args:
        wiring: The decoder.
        token_ids: The tokens after the cached ones, shape (batch, count).
        blanks: The number of padded places before each prompt, shape (batch,).
        caches: The cache of each block.

    Returns:
        The logits after the last token, float32 of shape (batch, vocabulary), and the
        caches with the new places.
    """
    (older, _), (recent, _) = caches[0]
    before = tf.shape(older)[2] + tf.shape(recent)[2]
    places = before + tf.range(tf.shape(token_ids)[1])
    positions = tf.maximum(places[None, :] - blanks[:, None], 0)
    if wiring.position_limit is not None:
        # Finished rows are computed until the last row has finished.
        positions = tf.minimum(positions, wiring.position_limit - 1)
    keys = tf.range(before + tf.shape(token_ids)[1])
    real = keys[None, :] >= blanks[:, None]
    mask = up_to_itself(places, keys, wiring.window)[None] & real[:, None]
    x = wiring.embed(token_ids, positions)
    attends = [_Attend(cache, mask) for cache in caches]
    for block, attend in zip(wiring.blocks, attends, strict=True):
        x = wiring.block(block, x, positions, attend, Dropouts({}))
    states = wiring.finish(x[:, -1:])[:, 0]
    matrix = tf.cast(tf.convert_to_tensor(wiring.matrix.value), states.dtype)
    logits = tf.matmul(states, matrix, transpose_b=wiring.is_tied)
    return tf.cast(logits, tf.float32), [one.cache for one in attends]


class _Attend:
    """Attention over a cache that first appends the new keys and values."""

    def __init__(self, cache: Cache, mask: Any) -> None:
        self.cache, self.mask = cache, mask

    def __call__(self, query: Any, key: Any, value: Any, _: Any) -> Any:
        new = [tf.transpose(one, (0, 2, 1, 3)) for one in (key, value)]
        older, recent = self.cache
        recent = _appended(recent, new)
        self.cache = Cache(older, recent)
        keys, values = zip(older, recent, strict=True)
        return attend_grouped(query, keys, values, self.mask)


def _appended(first: Sequence[Any], second: Sequence[Any]) -> tuple[Any, Any]:
    keys, values = zip(first, second, strict=True)
    return tf.concat(keys, axis=2), tf.concat(values, axis=2)


def settled(caches: list[Cache]) -> list[Cache]:
    """Returns the caches, with recent places moved to the older when there are many.

    It belongs after each step; a cache stays correct without it.
    """

    def moved() -> list[Cache]:
        return [
            Cache(_appended(older, recent), (recent[0][:, :, :0], recent[1][:, :, :0]))
            for older, recent in caches
        ]

    is_full = tf.shape(caches[0].recent[0])[2] >= _RECENT
    return tf.cond(is_full, moved, lambda: caches)
