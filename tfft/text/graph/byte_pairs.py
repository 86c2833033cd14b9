"""Byte pair merges inside a graph, for all words of a batch at once."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

_NEVER = np.iinfo("int32").max


class BytePairs:
    """Turns the ids of a word's bytes into the ids of its tokens.

    Each step joins the pair of neighbors that comes first among the merges, in every
    word at once and everywhere in the word. If a later merge may come before an earlier
    one, which no trained vocabulary has, each step joins only one pair, from the left.

    Args:
        ids: The ids of the tokens.
        merges: The pairs to join, in order of priority.
    """

    def __init__(
        self, ids: Mapping[str, int], merges: Sequence[tuple[str, str]]
    ) -> None:
        self._factor = max(ids.values()) + 1
        ranks = {
            (ids[left], ids[right]): (rank, ids[left + right])
            for rank, (left, right) in enumerate(merges)
        }
        self.one_place = not _in_order(ranks)
        # A pair that never occurs, so that the tables are never empty.
        pairs = [(key, *ranks[key]) for key in sorted(ranks)]
        table = [(left * self._factor + right, *to) for (left, right), *to in pairs]
        table.append((self._factor**2, _NEVER, 0))
        keys, order, joined = zip(*table, strict=True)
        self._keys = tf.constant(keys, tf.int64)
        self._ranks = tf.constant(order, tf.int32)
        self._joined = tf.constant(joined, tf.int32)

    def __call__(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Joins the pairs of words.

        Args:
            words: Ids of bytes, int32 of shape (words, None).

        Returns:
            Ids of tokens, int32 of shape (words, None).
        """
        ids, rows = words.flat_values, tf.cast(words.value_rowids(), tf.int32)
        found = self._look_up(ids, rows)
        ids, rows, _ = tf.while_loop(
            lambda ids, rows, found: tf.reduce_any(self._has_rank(found)),
            self._join,
            (ids, rows, found),
            shape_invariants=(tf.TensorShape([None]),) * 3,
        )
        return tf.RaggedTensor.from_value_rowids(
            ids, tf.cast(rows, tf.int64), nrows=words.nrows()
        )

    def _has_rank(self, found: tf.Tensor) -> tf.Tensor:
        return found < tf.size(self._keys) - 1

    def _look_up(self, ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the index in the table for each pair of neighbors."""
        wide = tf.cast(ids, tf.int64)
        pairs = wide[:-1] * self._factor + wide[1:]
        last = tf.size(self._keys) - 1
        places = tf.searchsorted(self._keys, pairs)
        known = (tf.gather(self._keys, places) == pairs) & (rows[:-1] == rows[1:])
        return tf.where(known, places, last)

    def _join(
        self, ids: tf.Tensor, rows: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Joins the first pair of each word."""
        taken = self._taken(tf.gather(self._ranks, found), rows[:-1])
        joined = tf.where(taken, tf.gather(self._joined, found), ids[:-1])
        stays = tf.concat([[True], ~taken], 0)
        ids = tf.boolean_mask(tf.concat([joined, ids[-1:]], 0), stays)
        rows = tf.boolean_mask(rows, stays)
        return ids, rows, self._look_up(ids, rows)

    def _taken(self, ranks: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns which pairs to join; no two of them share a token."""
        first = tf.gather(tf.math.segment_min(ranks, rows), rows)
        least = (ranks == first) & (ranks < _NEVER)
        places = tf.range(tf.size(ranks))
        if self.one_place:
            marked = tf.where(least, places, _NEVER)
            return places == tf.gather(tf.math.segment_min(marked, rows), rows)
        # In a a a a, pairs 0 and 2: those at an even distance from the run's start.
        starts = least & ~tf.concat([[False], least[:-1]], 0)
        runs = tf.cumsum(tf.cast(starts, tf.int32))
        begin = tf.concat([[0], tf.boolean_mask(places, starts)], 0)
        return least & ((places - tf.gather(begin, runs)) % 2 == 0)


def _in_order(ranks: Mapping[tuple[int, int], tuple[int, int]]) -> bool:
    """Returns whether each token is made before the first merge that needs it."""
    made: dict[int, int] = collections.defaultdict(lambda: -1)
    for rank, joined in ranks.values():
        made[joined] = max(made[joined], rank)
    return all(
        max(made[left], made[right]) < rank
        for (left, right), (rank, _) in ranks.items()
    )
