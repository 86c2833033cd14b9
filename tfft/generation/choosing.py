"""Choosing the next token from logits, as Hugging Face's `generate` does.

Runs and exported models call the same functions with the same random numbers, so a
prompt and a seed give the same text in both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

# Finding the most probable of 50,000 tokens takes a sixth of the time when few reach p
# as mostly do; else all are sorted.
_FEW = 1024


class Choices(NamedTuple):
    """How the next token of each row is chosen; each tensor has shape (batch,).

    Attributes:
        temperature: Divides the logits; 0 takes the most probable token. float32.
        top_k: Draws from the k most probable tokens; 0 for all. int32.
        top_p: Draws from the fewest most probable tokens whose probabilities reach p.
            float32.
        repetition_penalty: Divides the positive logits of tokens already in the text
            and multiplies the negative ones. float32.
        key: Decides the random numbers; see `draw_keys`. int64.
    """

    temperature: Any
    top_k: Any
    top_p: Any
    repetition_penalty: Any
    key: Any


def draw_keys(seeds: Any, prompts: tf.RaggedTensor) -> tf.Tensor:
    """Returns the key of each row, which decides its random numbers.

    The key depends on the seed and the prompt, not on the batch. Different prompts
    with one seed draw independently.

    Args:
        seeds: int64, shape (batch,).
        prompts: Token ids, shape (batch, tokens).

    Returns:
        int64, shape (batch,).
    """
    words = prompts.with_flat_values(tf.strings.as_string(prompts.flat_values))
    texts = tf.strings.reduce_join(words, axis=1, separator=" ")
    texts = tf.strings.join([tf.strings.as_string(seeds), texts], separator=":")
    return tf.strings.to_hash_bucket_fast(texts, 2**63 - 1)


def choose(logits: Any, seen: Any, count: Any, choices: Choices) -> tf.Tensor:
    """Returns the next token of each row, int32 of shape (batch,).

    Args:
        logits: Shape (batch, vocabulary).
        seen: Ids of the text so far, prompt included, shape (batch, places); negative
            ones are ignored.
        count: The number of tokens generated so far, a scalar.
        choices: The settings of each row.
    """
    logits = tf.cond(
        tf.reduce_any(choices.repetition_penalty != 1),
        lambda: penalized(logits, seen, choices.repetition_penalty),
        lambda: logits,
    )
    draws = choices.temperature > 0

    def most_probable() -> tf.Tensor:
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    def drawn() -> tf.Tensor:
        scaled = logits / tf.where(draws, choices.temperature, 1.0)[:, None]
        shares = probabilities(scaled, choices.top_k, choices.top_p)
        tokens = _draw(shares, choices.key, count)
        return tf.cond(
            tf.reduce_all(draws),
            lambda: tokens,
            lambda: tf.where(draws, tokens, most_probable()),
        )

    return tf.cond(tf.reduce_any(draws), drawn, most_probable)


def penalized(logits: Any, seen: Any, penalty: Any) -> tf.Tensor:
    """Returns logits with those of seen tokens made smaller.

    Args:
        logits: Shape (batch, vocabulary).
        seen: Ids that are in the text, shape (batch, places); negative ones are
            ignored.
        penalty: Divides positive logits and multiplies negative ones, shape (batch,).

    >>> logits, seen = tf.constant([[2.0, -2.0, 1.0]]), tf.constant([[0, 1, -1]])
    >>> penalized(logits, seen, tf.constant([2.0])).numpy().tolist()
    [[1.0, -4.0, 1.0]]
    """
    places = tf.where(seen >= 0)
    ids = tf.cast(tf.gather_nd(seen, places), tf.int64)
    is_seen = tf.scatter_nd(
        tf.stack([places[:, 0], ids], axis=1),
        tf.ones_like(ids, tf.int32),
        tf.shape(logits, tf.int64),
    )
    penalty = penalty[:, None]
    smaller = tf.where(logits > 0, logits / penalty, logits * penalty)
    return tf.where(is_seen > 0, smaller, logits)


def probabilities(logits: Any, top_k: Any, top_p: Any) -> tf.Tensor:
    """Returns the probabilities of tokens, 0 for those that are not drawn.

    They are float64, so that the order of sums hardly matters.

    Args:
        logits: Divided by the temperature, shape (batch, vocabulary).
        top_k: Keeps the k largest, and those equal to the last; 0 for all.
        top_p: Keeps the fewest largest whose probabilities reach p together.

    >>> logits = tf.math.log([[0.5, 0.3, 0.2]])
    >>> probabilities(logits, tf.constant([0]), tf.constant([0.6])).numpy().round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    logits = tf.cast(logits, tf.float64)
    logits = tf.cond(
        tf.reduce_any(top_k > 0), lambda: _top_k(logits, top_k), lambda: logits
    )
    shares = tf.nn.softmax(logits)

    def nucleus() -> tf.Tensor:
        kept = tf.where(_nucleus(shares, top_p), shares, 0.0)
        return kept / tf.reduce_sum(kept, axis=-1, keepdims=True)

    return tf.cond(tf.reduce_any(top_p < 1), nucleus, lambda: shares)


def _top_k(logits: Any, top_k: Any) -> tf.Tensor:
    top_k = tf.minimum(top_k, tf.shape(logits)[1])
    largest = tf.math.top_k(logits, tf.reduce_max(top_k)).values
    last = tf.gather(largest, tf.maximum(top_k - 1, 0), batch_dims=1)
    left_out = (top_k > 0)[:, None] & (logits < last[:, None])
    return tf.where(left_out, tf.constant(float("-inf"), logits.dtype), logits)


def _nucleus(shares: Any, top_p: Any) -> tf.Tensor:
    """Returns a mask of the most probable tokens that together reach p.

    It includes the token that reaches p, and the most probable one whatever p is.
    """
    size, is_all = tf.shape(shares)[1], (top_p >= 1)[:, None]
    top_p = tf.cast(top_p, shares.dtype)[:, None]

    def among(count: Any) -> tf.Tensor:
        """Returns the same, when as many of the most probable tokens reach p."""
        falling, order = tf.math.top_k(shares, count)
        kept = tf.cumsum(falling, axis=-1, exclusive=True) < top_p
        rows = tf.broadcast_to(tf.range(tf.shape(order)[0])[:, None], tf.shape(order))
        return tf.scatter_nd(tf.stack([rows, order], axis=-1), kept, tf.shape(shares))

    few = tf.minimum(_FEW, size)
    sums = tf.reduce_sum(tf.math.top_k(shares, few).values, axis=-1, keepdims=True)
    is_enough = tf.reduce_all((sums >= top_p) | is_all)
    return is_all | among(tf.where(is_enough, few, size))


def _draw(shares: Any, keys: Any, count: Any) -> tf.Tensor:
    """Returns a token of each row, drawn by its probability."""
    random = _uniform(keys, count)[:, None]
    # In the order of ids: rounding, which depends on the batch, may swap the order of
    # nearly equal probabilities.
    ends = tf.cumsum(shares, axis=-1)
    place = tf.searchsorted(ends, random * ends[:, -1:], side="right")[:, 0]
    # Rounding may put the number at the very end, after the last token with a share.
    last = tf.reduce_max(
        tf.where(shares > 0, tf.range(tf.shape(shares)[1]), 0), axis=-1
    )
    return tf.minimum(place, last)


def _uniform(keys: Any, count: Any) -> tf.Tensor:
    """Returns a number from 0 to 1 for each row, which depends on key and count alone.

    SipHash of both: TensorFlow's stateless generators take one seed for all rows.
    """
    words = [tf.strings.as_string(keys), tf.strings.as_string(count)]
    texts = tf.strings.join(words, separator=":")
    bits = tf.strings.to_hash_bucket_strong(texts, 2**53, [0, 0])
    return tf.cast(bits, tf.float64) / 2**53
