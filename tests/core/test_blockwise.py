"""Element-wise functions in blocks give what they give at once."""

import numpy as np
import pytest
import tensorflow as tf

from tfft.core import blockwise
from tfft.core.blockwise import elementwise, in_blocks

KINDS = [tf.float32, tf.bfloat16]


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (3, 4), (10, 4), (2, 5, 4), (4,)])
def test_blocks_are_small_and_together_the_whole(monkeypatch, shape):
    monkeypatch.setattr(blockwise, "_BLOCK_VALUES", 12)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    sizes = []

    def function(rows):
        sizes.append(int(tf.size(rows)))
        return [3 * rows, tf.cast(tf.square(rows), tf.bfloat16)]

    with in_blocks():
        found = elementwise(function, tf.constant(x), KINDS)
    assert len(sizes) >= x.size / 12
    assert max(sizes, default=0) <= 12
    for one, right in zip(found, function(tf.constant(x)), strict=True):
        assert one.dtype == right.dtype
        np.testing.assert_array_equal(one, right)


def test_a_trace_for_any_length_has_a_loop_only_where_blocks_are_wanted():
    def double(x):
        return elementwise(lambda rows: [2 * rows], x, [tf.float32])[0]

    @tf.function(input_signature=[tf.TensorSpec((None, 4))], autograph=False)
    def blocks(x):
        with in_blocks():
            return double(x)

    plain = tf.function(double, input_signature=[tf.TensorSpec((None, 4))])
    np.testing.assert_array_equal(blocks(tf.ones((7, 4))), 2 * np.ones((7, 4)))
    kinds = [
        {node.op for node in one.get_concrete_function().graph.as_graph_def().node}
        for one in (blocks, plain)
    ]
    assert ["While" in one or "StatelessWhile" in one for one in kinds] == [True, False]


def test_blocks_end_with_the_context_and_false_changes_nothing():
    def sizes():
        found = []
        x = tf.zeros((4, blockwise._BLOCK_VALUES))
        elementwise(lambda rows: [found.append(rows.shape[0]) or rows], x, KINDS[:1])
        return found

    with in_blocks():
        assert sizes() == [1, 1, 1, 1]
        with in_blocks(False):
            assert sizes() == [1, 1, 1, 1]
    with in_blocks(False):
        assert sizes() == [4]
    assert sizes() == [4]
