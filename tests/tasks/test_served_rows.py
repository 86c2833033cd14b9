"""Requests of many texts are answered in turns, as row by row."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.tasks.texts.rows_in_graph import endpoints


class Network:
    """Gives each row's sum and length, and keeps the shapes that it was asked."""

    input = dict.fromkeys(("token_ids", "padding_mask"))
    output = types.SimpleNamespace(dtype="int32", shape=(None, 2))

    def __init__(self):
        self.asked = []

    def __call__(self, batch, training=None):
        ids, mask = batch["token_ids"], batch["padding_mask"]
        self.asked.append(tuple(ids.shape))
        return tf.stack([tf.reduce_sum(ids * mask, 1), tf.reduce_sum(mask, 1)], 1)


def asked(lengths):
    """Returns the answers to rows of such lengths, the right ones, and the shapes."""
    generator = np.random.default_rng(0)
    longest = max(lengths, default=0)
    mask = (np.arange(longest) < np.reshape(lengths, (-1, 1))).astype("int32")
    ids = generator.integers(1, 1000, mask.shape).astype("int32") * mask
    network = Network()
    batch = {"token_ids": tf.constant(ids), "padding_mask": tf.constant(mask)}
    found = endpoints(network, lambda texts: batch, 1, lambda outputs: {"y": outputs})
    answer = found["serving_default"].answer(None)["y"].numpy()
    return answer, np.stack([ids.sum(1), lengths], 1), network.asked


def test_rows_keep_their_order_and_each_turn_its_own_length():
    lengths = np.random.default_rng(1).integers(1, 90, 70)
    answer, right, shapes = asked(lengths)
    np.testing.assert_array_equal(answer, right)
    ordered = np.sort(lengths)
    assert shapes == [*((16, ordered[at]) for at in (15, 31, 47, 63)), (6, ordered[69])]


@pytest.mark.parametrize("count", [0, 1, 16])
def test_few_rows_are_one_turn(count):
    lengths = np.full(count, 5)
    answer, right, shapes = asked(lengths)
    assert answer.shape == (count, 2)
    np.testing.assert_array_equal(answer, right)
    assert len(shapes) == 1
    assert shapes[0][0] == count


def test_a_mask_with_a_hole_or_padding_before_the_text_loses_no_token():
    mask = tf.constant([[0, 1, 1, 0, 1], [1, 0, 0, 0, 0]])
    batch = {"token_ids": tf.constant([[9, 1, 2, 9, 3], [7, 9, 9, 9, 9]])}
    batch["padding_mask"] = mask
    found = endpoints(Network(), lambda texts: batch, 1, lambda outputs: {"y": outputs})
    answer = found["serving_default"].answer(None)["y"].numpy()
    assert answer.tolist() == [[6, 3], [7, 1]]


def test_a_keras_model_answers_in_a_graph_as_all_rows_at_once():
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    mask = keras.Input((None,), dtype="int32", name="padding_mask")
    states = keras.layers.Embedding(50, 3)(ids)
    weights = keras.ops.cast(mask, "float32")[..., None]
    network = keras.Model(
        {"token_ids": ids, "padding_mask": mask},
        keras.ops.sum(states * weights, axis=1),
    )
    lengths = np.random.default_rng(2).integers(1, 40, 100)
    kept = (np.arange(40) < lengths[:, None]).astype("int32")
    numbers = np.random.default_rng(3).integers(0, 50, kept.shape).astype("int32")
    batch = {"token_ids": tf.constant(numbers), "padding_mask": tf.constant(kept)}
    endpoint = endpoints(network, lambda texts: batch, 1, lambda y: {"y": y})
    answer = tf.function(endpoint["serving_default"].answer)(tf.constant(""))["y"]
    assert answer.shape[1] == 3
    # 1e-6: sums of 40 numbers of 0.05 in another order.
    np.testing.assert_allclose(answer, network(batch), rtol=0, atol=1e-6)
