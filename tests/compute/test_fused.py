"""Element-wise functions give in one pass what they give operation by operation."""

import numpy as np
import pytest
import tensorflow as tf

from tfft.compute import fused
from tfft.compute.fused import elementwise
from tfft.compute.processor import for_processor, is_for_processor


def two(x):
    return [3 * x + 1, tf.cast(tf.square(x), tf.bfloat16)]


@pytest.mark.parametrize("shape", [(0, 4), (3, 4), (4, 4), (2, 5, 4), (16,)])
def test_small_and_large_arrays_give_the_same(monkeypatch, shape):
    monkeypatch.setattr(fused, "_LARGE", 16)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    with for_processor():
        found = elementwise(two, tf.constant(x))
    for one, right in zip(found, two(tf.constant(x)), strict=True):
        assert one.dtype == right.dtype
        # One rounding less than by a product and a sum.
        np.testing.assert_allclose(
            tf.cast(one, "float32"), tf.cast(right, "float32"), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("size", [15, 16])
def test_xla_compiles_what_is_large(monkeypatch, size):
    monkeypatch.setattr(fused, "_LARGE", 16)
    ran = []

    def compiled(function):
        def noting(x):
            tf.py_function(lambda: ran.append("compiled"), [], [])
            return function(x)

        return noting

    monkeypatch.setattr(fused, "_compiled", compiled)

    @tf.function(input_signature=[tf.TensorSpec((None,))], autograph=False)
    def step(x):
        with for_processor():
            return elementwise(two, x)

    step(tf.zeros(size))
    assert ran == (["compiled"] if size >= 16 else [])


def test_each_function_is_compiled_once_for_all_traces(monkeypatch):
    monkeypatch.setattr(fused, "_LARGE", 1)
    traces = []

    def function(x):
        traces.append(isinstance(x, tf.Tensor))
        return [x * 2]

    for _ in range(3):

        @tf.function(input_signature=[tf.TensorSpec((None,))], autograph=False)
        def step(x):
            with for_processor():
                return elementwise(function, elementwise(function, x)[0])

        np.testing.assert_array_equal(step(tf.ones(5))[0], np.full(5, 4.0))
    # Two branches of small arrays in each trace, and one compilation of them all.
    assert len(traces) == 3 * 2 + 1


def test_elsewhere_there_is_an_expression():
    traced = tf.function(lambda x: elementwise(two, x))
    graph = traced.get_concrete_function(tf.TensorSpec((None,))).graph
    assert {op.type for op in graph.get_operations()} >= {"Mul", "Square"}
    assert not [op for op in graph.get_operations() if "If" in op.type]


def test_a_block_ends_and_false_changes_nothing():
    assert not is_for_processor()
    with for_processor():
        assert is_for_processor()
        with for_processor(False):
            assert is_for_processor()
    with for_processor(False):
        assert not is_for_processor()
    assert not is_for_processor()
