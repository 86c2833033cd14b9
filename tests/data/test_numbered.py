"""A dataset of what a function makes of numbers."""

from __future__ import annotations

import time

import numpy as np
import pytest
import tensorflow as tf

from tfft.data.numbered import numbered_dataset

SIGNATURE = {
    "ids": tf.TensorSpec((2, None), tf.int32),
    "weight": tf.TensorSpec((), tf.float32),
}


def element(number: int) -> dict[str, np.ndarray]:
    return {
        "weight": np.array(number / 2),
        "ids": np.full((2, number), number),
        "unasked": np.zeros(3),
    }


def test_elements_follow_the_numbers_and_have_the_signature():
    dataset = numbered_dataset(element, SIGNATURE, first=3)
    assert dataset.element_spec == SIGNATURE
    found = list(dataset.prefetch(2).take(3))
    assert [one["ids"].numpy().tolist() for one in found] == [
        [[number] * number] * 2 for number in (3, 4, 5)
    ]
    assert [float(one["weight"]) for one in found] == [1.5, 2.0, 2.5]


def test_each_iterator_begins_anew():
    dataset = numbered_dataset(element, SIGNATURE)
    first, second = iter(dataset), iter(dataset)
    next(first)
    assert float(next(first)["weight"]) == 0.5
    assert float(next(second)["weight"]) == 0.0


def test_an_element_of_another_shape_is_refused():
    wrong = numbered_dataset(
        lambda number: {"ids": np.zeros((3, 1)), "weight": np.array(0)}, SIGNATURE
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[3,1\]"):
        next(iter(wrong))


def test_an_iterator_that_has_run_for_a_while_goes_at_once():
    iterator = iter(numbered_dataset(element, SIGNATURE).prefetch(2))
    began = time.monotonic()
    # A thread that tunes would sleep from 2.5 s to 5 s.
    while time.monotonic() < began + 3:
        next(iterator)
        time.sleep(0.1)
    began = time.monotonic()
    del iterator
    assert time.monotonic() - began < 0.5
