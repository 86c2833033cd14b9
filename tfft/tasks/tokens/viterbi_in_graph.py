"""The most likely valid tags inside a graph: the twin of `viterbi`."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfft.tasks.tokens.tag_schemes import may_follow


def likeliest_legal(log_p: tf.RaggedTensor, labels: tuple[Any, ...]) -> tf.Tensor:
    """Returns the ids of the most likely valid tag sequence, by word.

    Args:
        log_p: Ragged, shape (batch, words, labels).
        labels: The tags by id.
    """
    first = tf.constant([may_follow("", label) for label in labels])
    legal = [[may_follow(a, b) for b in labels] for a in labels]
    penalty = tf.constant(np.where(legal, 0.0, -np.inf))
    # One position more than the words, so that an empty text has one too.
    lengths = log_p.row_lengths()
    width = tf.reduce_max(tf.concat([lengths, [0]], axis=0)) + 1
    values = log_p.to_tensor(0.0, shape=[None, None, len(labels)])
    values = tf.pad(
        values, [[0, 0], [0, width - tf.shape(values, tf.int64)[1]], [0, 0]]
    )
    real = tf.transpose(tf.sequence_mask(lengths, width))
    values = tf.transpose(values, (1, 0, 2))
    same = tf.range(len(labels)) + tf.zeros(tf.shape(values)[1:], tf.int32)

    def forward(before: Any, here: Any) -> tuple[Any, Any]:
        best, _ = before
        value, is_word = here
        through = best[:, :, None] + penalty
        back = tf.argmax(through, axis=1, output_type=tf.int32)
        reached = tf.reduce_max(through, axis=1) + value
        kept = is_word[:, None]
        return tf.where(kept, reached, best), tf.where(kept, back, same)

    start = tf.where(first, values[0], tf.constant(-np.inf, tf.float64))
    bests, backs = tf.scan(forward, (values[1:], real[1:]), (start, same))
    ends = tf.concat([start[None], bests], axis=0)[-1]
    last = tf.argmax(ends, axis=-1, output_type=tf.int32)
    path = tf.scan(
        lambda at, back: tf.gather(back, at, batch_dims=1), backs, last, reverse=True
    )
    path = tf.concat([path, last[None]], axis=0)
    return tf.cast(tf.boolean_mask(tf.transpose(path), tf.transpose(real)), tf.int64)
