"""The chunked loss against the plain one, in NumPy's float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfft.tasks.networks.linear_cross_entropy import linear_cross_entropy

TOKENS, HIDDEN, VOCABULARY = 37, 12, 50


def given(seed=0):
    generator = np.random.default_rng(seed)
    h = generator.normal(size=(TOKENS, HIDDEN)).astype("float32")
    W = generator.normal(size=(VOCABULARY, HIDDEN)).astype("float32")
    y = generator.integers(0, VOCABULARY, TOKENS).astype("int32")
    return h, W, y, generator.random(TOKENS).astype("float32")


def plain(h, W, y, w, smoothing, z_loss):
    """Returns losses, Σ w·loss and its gradients, from their definitions."""
    h, W, w = (one.astype("float64") for one in (h, W, w))
    logits = h @ W.T
    log_z = np.log(np.exp(logits).sum(axis=1))
    q = np.full_like(logits, smoothing / VOCABULARY)
    q[np.arange(TOKENS), y] += 1 - smoothing
    losses = -(q * (logits - log_z[:, None])).sum(axis=1) + z_loss * log_z**2
    p = np.exp(logits - log_z[:, None])
    d = w[:, None] * (p - q + 2 * z_loss * log_z[:, None] * p)
    return losses, d @ W, d.T @ h


@pytest.mark.parametrize("chunk", [7, 37, None])
@pytest.mark.parametrize(
    ("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.01), (0.2, 0.01)]
)
def test_loss_and_gradients_are_the_plain_ones(chunk, smoothing, z_loss):
    h, W, y, w = given()
    states, matrix = tf.Variable(h), tf.Variable(W)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            losses, _ = linear_cross_entropy(
                states,
                matrix,
                y,
                label_smoothing=smoothing,
                z_loss=z_loss,
                chunk=chunk,
            )
            total = tf.reduce_sum(losses * w)
        return losses, tape.gradient(total, [states, matrix])

    losses, (dh, dW) = run()
    expected = plain(h, W, y, w, smoothing, z_loss)
    for found, right in zip((losses, dh, dW), expected, strict=True):
        # Relative to the largest, as sums of float32 are exact to 6e-8 of it.
        scale = np.abs(right).max()
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-6 * scale)


def test_hits_are_where_no_id_is_likelier():
    h, W, y, _ = given()
    y[:20] = (h @ W.T).argmax(axis=1)[:20]
    _, hits = linear_cross_entropy(h, W, y, trains=False, chunk=8)
    assert hits.numpy().tolist() == ((h @ W.T).argmax(axis=1) == y).tolist()
    assert hits.numpy()[:20].all()


def test_without_training_there_are_losses_and_no_gradient():
    h, W, y, w = given()
    with tf.GradientTape() as tape:
        states = tf.constant(h)
        tape.watch(states)
        losses, _ = linear_cross_entropy(states, W, y, trains=False, chunk=8)
    np.testing.assert_allclose(losses, plain(h, W, y, w, 0, 0)[0], rtol=1e-5)


def test_a_frozen_matrix_has_no_gradient_and_the_states_keep_theirs():
    h, W, y, _ = given()
    states, matrix = tf.Variable(h), tf.Variable(W)
    with tf.GradientTape() as tape:
        losses, _ = linear_cross_entropy(states, matrix, y, matrix_trains=False)
    dh, dW = tape.gradient(losses, [states, matrix])
    assert dW is None
    ones = np.ones(TOKENS, "float32")
    np.testing.assert_allclose(dh, plain(h, W, y, ones, 0, 0)[1], rtol=0, atol=1e-5)


def test_no_array_of_tokens_by_vocabulary_is_in_the_graph():
    h, W, y, _ = given()
    states, matrix = tf.Variable(h), tf.Variable(W)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            losses, _ = linear_cross_entropy(states, matrix, y, chunk=5)
        return tape.gradient(losses, [states, matrix])

    graphs = [run.get_concrete_function().graph]
    sizes = set()
    while graphs:
        graph = graphs.pop()
        graphs += [
            one.graph for one in graph._functions.values() if hasattr(one, "graph")
        ]
        for operation in graph.get_operations():
            for tensor in operation.outputs:
                if tensor.shape.rank and VOCABULARY in tensor.shape.as_list():
                    sizes.add(tuple(tensor.shape.as_list()))
    assert (5, VOCABULARY) in sizes
    assert all(shape[0] in (5, HIDDEN, VOCABULARY) for shape in sizes)


def test_bfloat16_states_give_float32_losses():
    h, W, y, w = given()
    states = tf.Variable(tf.cast(h, tf.bfloat16))
    with tf.GradientTape() as tape:
        losses, _ = linear_cross_entropy(states, W, y, matrix_trains=False)
    assert losses.dtype == tf.float32
    assert tape.gradient(losses, states).dtype == tf.bfloat16
    # bfloat16 keeps 8 bits: logits near 10 are off by some hundredths.
    np.testing.assert_allclose(losses, plain(h, W, y, w, 0, 0)[0], rtol=0, atol=0.1)
