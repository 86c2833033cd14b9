"""The next token against plain NumPy, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfft.generation.cache import next_tokens
from tfft.generation.choosing import Choices, choose, draw_keys, probabilities

LOGITS = np.log(np.array([0.4, 0.3, 0.2, 0.06, 0.04], "float32"))


def choices(rows, keys=None, **options):
    """Returns choices of one row each; options are single values or one per row."""
    plain = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
    given = {
        name: tf.constant(
            np.broadcast_to(options.get(name, value), (rows,)),
            tf.int32 if name == "top_k" else tf.float32,
        )
        for name, value in plain.items()
    }
    keys = np.arange(rows) if keys is None else keys
    return Choices(**given, key=tf.constant(keys, tf.int64))


def shares(draws=4000, **options):
    """Returns how often each token is drawn."""
    logits = tf.constant(np.tile(LOGITS, (draws, 1)))
    seen = np.zeros((draws, 1), "int32")
    ids = next_tokens(logits, seen, 0, choices(draws, **options))
    return np.bincount(ids, minlength=len(LOGITS)) / draws


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 1}, [0.4, 0.3, 0.2, 0.06, 0.04]),
        ({"temperature": 1, "top_k": 2}, [4 / 7, 3 / 7, 0, 0, 0]),
        ({"temperature": 1, "top_p": 0.7}, [4 / 7, 3 / 7, 0, 0, 0]),
        ({"temperature": 1, "top_p": 0.71}, [4 / 9, 3 / 9, 2 / 9, 0, 0]),
        ({"temperature": 1, "top_p": 1e-9}, [1, 0, 0, 0, 0]),
        ({"temperature": 0.5}, np.array([16, 9, 4, 0.36, 0.16]) / 29.52),
        ({"temperature": 0}, [1, 0, 0, 0, 0]),
    ],
)
def test_tokens_are_drawn_by_their_shares(options, expected):
    # 4,000 draws: a share of one half has a standard deviation of 0.008.
    np.testing.assert_allclose(shares(**options), expected, atol=0.04)


def test_a_penalty_makes_tokens_of_the_text_less_likely():
    logits = np.stack([LOGITS, LOGITS + 2, LOGITS])
    seen = np.array([[0, -1], [0, 0], [3, -1]], "int32")
    given = choices(3, repetition_penalty=1.5)
    assert next_tokens(tf.constant(logits), seen, 0, given).tolist() == [1, 1, 0]


def expected_probabilities(logits, top_k, top_p):
    """Sorts the whole row and keeps what Hugging Face's `generate` keeps."""
    shares = np.exp(logits - logits.max())
    if top_k:
        shares[logits < np.sort(logits)[::-1][min(top_k, len(logits)) - 1]] = 0
    shares /= shares.sum()
    total = 0.0
    for index in np.argsort(-shares, kind="stable"):
        if total >= top_p:
            shares[index] = 0
        else:
            total += shares[index]
    return shares / shares.sum()


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_of_rows_with_options_of_their_own(seed):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (40, 60)).round(1).astype("float32")  # with ties
    top_k = random.integers(0, 70, 40).astype("int32")
    top_p = random.uniform(0.05, 1, 40).astype("float32")
    top_k[0], top_p[0], top_p[1] = 0, 1, 1
    found = probabilities(tf.constant(logits), tf.constant(top_k), tf.constant(top_p))
    expected = [
        expected_probabilities(row.astype("float64"), int(k), float(p) if p < 1 else 2)
        for row, k, p in zip(logits, top_k, top_p, strict=True)
    ]
    # float64 sums of 60 numbers.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_a_draw_depends_on_key_and_count_and_not_on_the_batch():
    random = np.random.default_rng(0)
    logits = tf.constant(random.normal(0, 1, (64, 50)).astype("float32"))
    seen, keys = np.full((64, 1), -1, "int32"), random.integers(0, 2**60, 64)
    given = choices(64, keys, temperature=1, top_p=0.95)
    together = next_tokens(logits, seen, 3, given)
    for row in range(64):
        alone = choices(1, keys[row : row + 1], temperature=1, top_p=0.95)
        one = next_tokens(logits[row : row + 1], seen[:1], 3, alone)
        assert one.tolist() == [together[row]]
    assert np.mean(next_tokens(logits, seen, 4, given) == together) < 0.3


def test_greedy_and_drawn_rows_share_a_batch():
    logits = tf.constant(np.tile(LOGITS, (200, 1)))
    given = choices(200, temperature=[0.0, 5.0] * 100, top_k=[3, 0] * 100)
    ids = next_tokens(logits, np.full((200, 1), -1, "int32"), 0, given)
    assert set(ids[::2]) == {0}
    assert set(ids[1::2]) == {0, 1, 2, 3, 4}


def test_keys_depend_on_seed_and_prompt():
    prompts = tf.ragged.constant([[1, 2], [1, 2], [12], [1, 2]], tf.int32)
    keys = draw_keys(tf.constant([5, 5, 5, 6], tf.int64), prompts).numpy()
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_function_of_any_graph_draws_the_same():
    logits = tf.constant(np.tile(LOGITS, (300, 1)))
    seen, given = np.zeros((300, 1), "int32"), choices(300, temperature=1.3, top_k=4)
    outside = next_tokens(logits, seen, 7, given)
    np.testing.assert_array_equal(choose(logits, seen, 7, given), outside)
