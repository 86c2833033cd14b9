"""A `tf.data.Dataset` of dicts becomes rows; every other one is refused."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tfft.core.errors import DataError
from tfft.data.objects import read_object


def tensors(*rows):
    return tf.data.Dataset.from_tensor_slices(
        {name: [row[name] for row in rows] for name in rows[0]}
    )


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [
        (
            tensors({"t": "café", "l": 1}, {"t": "", "l": 0}),
            {"t": ["café", ""], "l": [1, 0]},
        ),
        (tensors({"t": "a"}, {"t": "b"}).batch(2).unbatch(), {"t": ["a", "b"]}),
        (tensors({"w": ["a", "b"]}).batch(2).unbatch(), {"w": [["a", "b"]]}),
        (tensors({"t": "a"}).prefetch(1).cache().shuffle(1), {"t": ["a"]}),
        (
            tensors({"w": ["a", "b"]}, {"w": ["c", "d"]}),
            {"w": [["a", "b"], ["c", "d"]]},
        ),
        (tensors({"t": "a"}, {"t": "b"}).repeat(2).take(3), {"t": ["a", "b", "a"]}),
        (tensors({"n": float("nan")}), {"n": [None]}),
        (
            tf.data.Dataset.from_tensor_slices({"w": tf.ragged.constant([["a"], []])}),
            {"w": [["a"], []]},
        ),
        (
            tf.data.Dataset.from_generator(
                lambda: iter([{"w": ["a"]}, {"w": ["b", "c"]}]),
                output_signature={"w": tf.TensorSpec([None], tf.string)},
            ),
            {"w": [["a"], ["b", "c"]]},
        ),
    ],
)
def test_tf_datasets(dataset, columns):
    table = read_object(dataset)
    assert table.columns == columns
    assert table.where(0) == "tf.data.Dataset row 1"


def failing():
    yield {"t": "a"}
    raise ValueError("the well is dry")


@pytest.mark.parametrize(
    ("dataset", "parts"),
    [
        (tensors({"t": "a"}).batch(2), ["dataset is batched", "fix: add unbatch()"]),
        (tensors({"t": "a"}).batch(2, True).prefetch(1), ["dataset is batched"]),
        (tensors({"t": ["a"]}).padded_batch(2), ["dataset is batched"]),
        (tensors({"t": "a"}).ragged_batch(2), ["dataset is batched"]),
        (tensors({"t": "a"}).batch(2).map(lambda row: row), ["dataset is batched"]),
        (
            tensors({"t": "a"}).repeat(),
            ["dataset has no end", "fix: leave out repeat()"],
        ),
        (tensors({"t": "a"}).map(lambda row: row["t"]), ["elements are not dicts"]),
        (tensors({"t": "a"}).map(lambda row: (row, 1)), ["elements are not dicts"]),
        (tf.data.Dataset.from_tensor_slices({1: ["a"]}), ["column name 1 is not text"]),
        (
            tensors({"t": [1, 0]}).map(
                lambda row: {"t": tf.sparse.from_dense(row["t"])}
            ),
            ["hold a SparseTensorSpec", "fix: convert it with map"],
        ),
        (tensors({"t": b"\xff"}), ["holds b'\\xff'", "row 1", "fix: give UTF-8 text"]),
        (
            tf.data.Dataset.from_generator(
                failing, output_signature={"t": tf.TensorSpec([], tf.string)}
            ),
            ["reading failed: ", "the well is dry", "row 2", "fix: "],
        ),
    ],
)
def test_tf_datasets_that_cannot_be_read(dataset, parts):
    with pytest.raises(DataError) as caught:
        read_object(dataset)
    wanted = [*parts, "tf.data.Dataset"]
    assert all(part in str(caught.value) for part in wanted), str(caught.value)
