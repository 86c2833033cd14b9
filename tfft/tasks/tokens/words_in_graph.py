"""Words of texts inside a graph, and which token speaks for each."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfft.tasks.tokens.words import kind_of

_KINDS = ("blank", "word", "apart", "mark")
_BLANK, _WORD, _APART, _MARK = range(4)


class Words(NamedTuple):
    """Places of words, ragged int64 of shape (batch, words).

    Attributes:
        starts: The first character of each.
        ends: The character after its last.
    """

    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


@functools.cache
def _kinds() -> np.ndarray:
    """Returns the kind of every character of Unicode."""
    number = {kind: index for index, kind in enumerate(_KINDS)}
    return np.array([number[kind_of(chr(code))] for code in range(0x110000)], "int8")


def words_in_graph(text: tf.Tensor) -> Words:
    """Returns the words of a string tensor, as `words_of` has them outside."""
    codes = tf.strings.unicode_decode(text, "UTF-8", errors="replace")
    kinds = codes.with_flat_values(tf.gather(tf.constant(_kinds()), codes.flat_values))
    first = tf.fill([codes.nrows(), 1], tf.constant(_BLANK, tf.int8))
    # A space before each text, so that no word continues from before it.
    kinds = tf.concat([first, kinds], axis=1)
    kind = kinds.flat_values
    is_start = _starts(kind)
    word = tf.cumsum(tf.cast(is_start, tf.int64)) - 1
    indices = tf.where(is_start)[:, 0]
    inside = tf.where(kind != _BLANK)[:, 0]
    sizes = tf.math.unsorted_segment_sum(
        tf.ones_like(inside), tf.gather(word, inside), tf.size(indices)
    )
    rows = tf.gather(kinds.value_rowids(), indices)
    starts = indices - tf.gather(kinds.row_starts(), rows) - 1
    ragged = tf.RaggedTensor.from_value_rowids(starts, rows, codes.nrows())
    return Words(ragged, ragged.with_flat_values(starts + sizes))


def _starts(kind: tf.Tensor) -> tf.Tensor:
    """Returns which characters begin a word; marks belong to what they follow."""
    is_solid = kind != _MARK
    solid = tf.where(is_solid)[:, 0]
    count = tf.cumsum(tf.cast(is_solid, tf.int64), exclusive=True)
    before = tf.gather(solid, tf.maximum(count - 1, 0))
    marked = before < tf.range(tf.size(kind, tf.int64)) - 1
    follows = tf.gather(kind, before)
    # Of marks after a blank, the first is a word of its own.
    follows = tf.where(
        marked & (follows == _BLANK), tf.constant(_APART, tf.int8), follows
    )
    return (
        (kind == _APART)
        | ((kind == _WORD) & (follows != _WORD))
        | ((kind == _MARK) & (follows == _BLANK))
    )


def positions_of_words(words: Words, windows: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the window, and the position in it, of the first token of each word.

    Like `place_words`: of several windows, the one in which the token is farthest from
    an edge at which the text continues.

    Args:
        words: The words.
        windows: The windows of their texts.

    Returns:
        Both of shape (words,); a window of -1 for a word without tokens.
    """
    pieces = windows.pieces
    starts = tf.cast(pieces.starts.flat_values, tf.int64)
    ends = tf.cast(pieces.ends.flat_values, tf.int64)
    full = tf.where(starts < ends)[:, 0]
    starts, ends = tf.gather(starts, full), tf.gather(ends, full)
    # Characters counted on through the texts, so that one search finds all.
    last = tf.reduce_max(tf.concat([ends, words.ends.flat_values, [0]], axis=0)) + 1
    rows = last * tf.gather(pieces.ids.value_rowids(), full)
    word_rows = last * words.starts.value_rowids()
    nowhere = tf.constant([tf.int64.max])
    found = tf.searchsorted(
        rows + ends, word_rows + words.starts.flat_values, side="right"
    )
    first = tf.gather(tf.concat([rows + starts, nowhere], axis=0), found)
    hit = first < word_rows + words.ends.flat_values
    token = tf.gather(tf.concat([full, [0]], axis=0), found)
    slots = tf.gather(_slots(windows), tf.where(hit, token, 0))
    # A batch of texts without a token has no slot, and no word that hits.
    held = tf.concat([windows.tokens.value_rowids(), [0]], axis=0)
    window = tf.gather(held, slots)
    inside = slots - tf.gather(windows.tokens.row_starts(), window)
    position = inside + tf.gather(windows.offsets, window)
    return tf.where(hit, window, -1), tf.where(hit, position, 0)


def _slots(windows: Any) -> tf.Tensor:
    """Returns the slot, among those of all windows, that speaks for each token."""
    held = windows.tokens
    inside = tf.ragged.range(held.row_lengths()).flat_values
    window = held.value_rowids()
    left = tf.where(tf.gather(windows.is_first, window), tf.int64.max, inside)
    right = tf.gather(held.row_lengths(), window) - 1 - inside
    right = tf.where(tf.gather(windows.is_last, window), tf.int64.max, right)
    room = tf.minimum(left, right)
    tokens = tf.maximum(tf.size(windows.pieces.ids.flat_values, tf.int64), 1)
    best = tf.math.unsorted_segment_max(room, held.flat_values, tokens)
    slot = tf.range(tf.size(room, tf.int64))
    none = tf.size(room, tf.int64)
    slot = tf.where(room == tf.gather(best, held.flat_values), slot, none)
    chosen = tf.math.unsorted_segment_min(slot, held.flat_values, tokens)
    return tf.minimum(chosen, none)
