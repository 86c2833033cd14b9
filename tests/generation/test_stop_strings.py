"""Strings that end a text, inside a graph and outside."""

from __future__ import annotations

import random

import numpy as np
import tensorflow as tf

from tfft.generation.decoding_loop import before
from tfft.generation.text import GrowingText


def test_a_text_ends_before_the_first_of_its_strings():
    draw = random.Random(0)
    rows = []
    for _ in range(400):
        text = "".join(draw.choice("abé#") for _ in range(draw.randrange(8)))
        stop = [
            "".join(draw.choice("abé#") for _ in range(draw.randrange(3)))
            for _ in range(3)
        ]
        rows.append((text, stop))
    texts, stops = zip(*rows, strict=True)
    heads, stopped = before(tf.constant(texts), tf.constant(stops))
    for text, stop, head, is_stopped in zip(
        texts, stops, heads.numpy(), stopped.numpy(), strict=True
    ):
        outside = GrowingText(lambda _, text=text: text, [one for one in stop if one])
        outside.add(0)
        assert head.decode() == outside.text
        assert bool(is_stopped) == outside.stopped


def test_no_strings_end_nothing():
    texts = tf.constant(["a", ""])
    for stop in (np.zeros((2, 0), object), [[""], [""]]):
        heads, stopped = before(texts, tf.constant(stop, tf.string))
        assert heads.numpy().tolist() == [b"a", b""]
        assert not stopped.numpy().any()
