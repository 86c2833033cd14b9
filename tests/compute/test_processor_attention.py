"""Attention with columns for its sums is attention, in fewer passes."""

import numpy as np
import pytest
import tensorflow as tf

from tfft.compute.attention import attend, attend_causally
from tfft.compute.processor import for_processor
from tfft.compute.processor_attention import attend_with_columns

RANDOM = np.random.default_rng(3)
BATCH, LENGTH, HEADS, SIZE = 2, 6, 4, 5
PADDING = (np.arange(LENGTH) < [[4], [6]])[:, None]
MASKS = {
    "none": None,
    "padding": PADDING,
    "causal": np.repeat(np.tri(LENGTH, dtype=bool)[None], BATCH, axis=0),
}


def values(*shape):
    return RANDOM.normal(size=shape)


def formula(q, k, v, mask, upstream):
    """Returns softmax(q·kᵀ/√d)·v and the gradients of q, k and v, in float64."""
    q, k, v, upstream = (x.transpose(0, 2, 1, 3) for x in (q, k, v, upstream))
    scores = q @ k.swapaxes(-1, -2) / SIZE**0.5
    scores = scores if mask is None else np.where(mask[:, None], scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    along = upstream @ v.swapaxes(-1, -2)
    slope = shares * (along - (along * shares).sum(-1, keepdims=True)) / SIZE**0.5
    found = (
        shares @ v,
        slope @ k,
        slope.swapaxes(-1, -2) @ q,
        shares.swapaxes(-1, -2) @ upstream,
    )
    return [x.transpose(0, 2, 1, 3) for x in found]


def with_gradients(attention, q, k, v, mask, upstream, dtype="float32"):
    q, k, v, upstream = (tf.cast(x, dtype) for x in (q, k, v, upstream))
    with tf.GradientTape() as tape:
        tape.watch([q, k, v])
        mixed = attention(q, k, v, mask)
    return [mixed, *tape.gradient(mixed, [q, k, v], upstream)]


@pytest.mark.parametrize("mask", MASKS)
def test_outputs_and_gradients_are_the_formulas(mask):
    given = [values(BATCH, LENGTH, HEADS, SIZE) for _ in range(4)]
    q, k, v, upstream = given
    expected = formula(q, k, v, MASKS[mask], upstream)
    with for_processor():
        found = with_gradients(attend, q, k, v, MASKS[mask], upstream)
    for one, right in zip(found, expected, strict=True):
        # 2e-6: float32 sums of some values of order 1.
        np.testing.assert_allclose(one, right, rtol=0, atol=2e-6)


@pytest.mark.parametrize("length", [4, 7])
@pytest.mark.parametrize("attention", [attend, attend_causally])
def test_groups_halves_and_unknown_lengths_are_as_without(attention, length):
    q, upstream = (values(BATCH, length, HEADS, SIZE) for _ in range(2))
    k, v = (values(BATCH, length, 2, SIZE) for _ in range(2))
    mask = np.repeat(np.tri(length, dtype=bool)[None], BATCH, axis=0)
    given = [tf.TensorSpec((None, None, n, SIZE), "float64") for n in (4, 2, 2)]
    given += [tf.TensorSpec((None, None, None), "bool"), given[0]]

    @tf.function(input_signature=given, autograph=False)
    def columns(*args):
        with for_processor():
            return with_gradients(attention, *args)

    found = columns(q, k, v, mask, upstream)
    for one, other in zip(
        found, with_gradients(attention, q, k, v, mask, upstream), strict=True
    ):
        # 1e-6: float32 sums in another order.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mask", MASKS)
def test_in_bfloat16_it_is_no_less_exact(mask):
    given = [values(BATCH, 64, HEADS, 16).astype("float32") for _ in range(4)]
    given = [tf.cast(tf.cast(x, "bfloat16"), "float32") for x in given]
    hidden = None if mask == "none" else np.tri(64, dtype=bool)[None]
    hidden = hidden[:, -1:] if mask == "padding" else hidden
    q, k, v, upstream = given
    exact = with_gradients(attend, q, k, v, hidden, upstream)
    errors = []
    for wanted in (False, True):
        with for_processor(wanted):
            found = with_gradients(attend, q, k, v, hidden, upstream, "bfloat16")
        errors.append(
            [
                float(tf.norm(tf.cast(one, "float32") - right) / tf.norm(right))
                for one, right in zip(found, exact, strict=True)
            ]
        )
    plain, columns = np.array(errors)
    # A tenth for luck; bfloat16 has 8 bits, that is errors of 4e-3.
    assert (columns <= 1.1 * plain).all()


def test_the_scores_of_padded_rows_are_passed_over_by_one_operation_and_softmax():
    given = [tf.TensorSpec((BATCH, 8, HEADS, SIZE))] * 4

    @tf.function(input_signature=given, autograph=False)
    def step(q, k, v, upstream):
        mask = tf.ones((BATCH, 1, 8), "bool")
        with for_processor():
            return with_gradients(attend, q, k, v, mask, upstream)

    passes = [
        op.type
        for op in step.get_concrete_function().graph.get_operations()
        if op.outputs and op.outputs[0].shape == (BATCH, HEADS, 8, 8)
    ]
    assert sorted(passes) == ["BatchMatMulV2", "BatchMatMulV2", "Mul", "Softmax"]


def test_what_is_added_to_the_scores_needs_no_mask():
    q, k, v = (tf.ones((1, 2, 1, 2)) for _ in range(3))
    hidden = tf.constant([[[0.0, np.log(3.0)]]])
    mixed = attend_with_columns(q, k, v * [[[[1.0]], [[5.0]]]], hidden)
    # Shares of 1/4 and 3/4.
    np.testing.assert_allclose(mixed, np.full((1, 2, 1, 2), 4.0), rtol=1e-6)


def test_a_mask_never_lets_a_hidden_key_through():
    q, k, v, upstream = (values(BATCH, LENGTH, HEADS, SIZE) for _ in range(4))
    with for_processor():
        found = with_gradients(attend, q, k, v, PADDING, upstream, "bfloat16")
    hidden = np.broadcast_to(~PADDING[:, 0, :, None, None], k.shape)
    assert hidden.any()
    for gradient in found[2:]:
        assert (np.array(gradient, "float32")[hidden] == 0).all()
