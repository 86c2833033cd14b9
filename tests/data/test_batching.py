"""Batches hold every row once, in an order that seed and epoch alone decide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfft.data.batching import Batches, Examples, bucket_length

PAD = 9


def examples_of(lengths):
    return Examples(
        sequences={
            "token_ids": [[row + 100] * length for row, length in enumerate(lengths)],
            "segment_ids": [[1] * length for length in lengths],
        },
        values={"labels": np.arange(len(lengths), dtype="int32") % 3},
        padding={"token_ids": PAD, "segment_ids": 0},
    )


@pytest.fixture
def examples():
    return examples_of(np.random.default_rng(0).integers(1, 70, 53).tolist())


@pytest.mark.parametrize(
    ("longest", "padded"),
    [
        *((8, 8), (17, 24), (32, 32), (41, 48), (64, 64), (65, 80), (112, 112)),
        *((128, 128), (129, 160), (256, 256), (257, 320), (448, 448), (512, 512)),
        *((1, 8), (513, 640), (1025, 1280)),
    ],
)
def test_padded_lengths(longest, padded):
    assert bucket_length(longest) == padded


def test_padded_lengths_are_few_and_close():
    lengths = np.arange(1, 513)
    padded = np.array([bucket_length(int(length)) for length in lengths])
    assert len(set(padded.tolist())) == 20
    assert (padded >= lengths).all()
    assert ((padded - lengths) / padded)[32:].max() < 0.2


@pytest.mark.parametrize("batch_size", [1, 8, 53, 100])
@pytest.mark.parametrize("seed", [None, 4])
@pytest.mark.parametrize("epoch", [0, 1])
def test_every_row_once_an_epoch(examples, batch_size, seed, epoch):
    batches = Batches(examples, batch_size, seed)
    rows = batches.rows(epoch)
    assert len(rows) == len(batches) == -(-53 // batch_size)
    assert sorted(np.concatenate(rows).tolist()) == list(range(53))
    assert sorted(map(len, rows))[1:] == [batch_size] * (len(batches) - 1)


def test_every_row_once_over_many_stretches():
    many = examples_of([1 + row % 5 for row in range(1000)])
    rows = Batches(many, 4, seed=0).rows()  # 32 batches of 4 are sorted at a time
    assert sorted(np.concatenate(rows).tolist()) == list(range(1000))


def test_the_order_is_another_in_each_epoch_and_for_each_seed(examples):
    def order(seed, epoch):
        return np.concatenate(Batches(examples, 8, seed).rows(epoch)).tolist()

    orders = [order(seed, epoch) for seed in (1, 2) for epoch in (0, 1, 2)]
    assert all(a != b for a, b in itertools.combinations(orders, 2))
    again = [order(seed, epoch) for seed in (2, 1) for epoch in (2, 1, 0)]
    assert again[::-1] == orders


def test_without_a_seed_the_longest_rows_come_first(examples):
    rows = np.concatenate(Batches(examples, 8).rows()).tolist()
    assert rows == sorted(range(53), key=lambda row: -examples.lengths[row])


def test_rows_of_similar_length_share_a_batch():
    lengths = [4, 60] * 64
    for rows in Batches(examples_of(lengths), 8, seed=1).rows():
        assert len({lengths[row] for row in rows}) == 1


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(
    ("options", "last"), [({}, 5), ({"equal": True}, 8), ({"divisible_by": 2}, 6)]
)
def test_the_content_of_batches(examples, seed, options, last):
    batches = Batches(examples, 8, seed, **options)
    fill = 0
    for rows, batch in zip(batches.rows(2), batches.epoch(2), strict=True):
        length = bucket_length(int(examples.lengths[rows].max()))
        size = 8 if len(rows) == 8 else last
        fill += size - len(rows)
        expected = {
            "token_ids": np.full((size, length), PAD, "int32"),
            "segment_ids": np.zeros((size, length), "int32"),
            "padding_mask": np.zeros((size, length), "int32"),
            "labels": np.zeros(size, "int32"),
            "weights": np.zeros(size, "float32"),
            "row_ids": np.full(size, -1, "int32"),
        }
        expected["row_ids"][: len(rows)] = rows
        for index in range(size):
            row = rows[index] if index < len(rows) else rows[0]
            real = examples.lengths[row]
            expected["token_ids"][index, :real] = row + 100
            expected["segment_ids"][index, :real] = 1
            expected["padding_mask"][index, :real] = 1
            expected["labels"][index] = row % 3
            expected["weights"][index] = index < len(rows)
        assert batch.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(batch[name], array, name, strict=True)
    assert fill == last - 5


def test_weights_of_the_rows_are_kept_and_not_written_over(examples):
    given = np.linspace(1, 2, 53, dtype="float32")
    weighted = Examples(
        examples.sequences, {**examples.values, "weights": given}, examples.padding
    )
    batches = Batches(weighted, 8, seed=1)
    expected = given.copy()
    found = np.zeros(53, "float32")
    for rows, batch in zip(batches.rows(), batches.epoch(), strict=True):
        found[rows] = batch["weights"][: len(rows)]
        np.testing.assert_array_equal(batch["weights"][len(rows) :], 0)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(given, expected)


def test_tokens_counts_real_and_padded_ones():
    batches = Batches(examples_of([3, 20, 5, 40, 1]), 2)
    # Batches of the lengths 40 and 20, 5 and 3, 1.
    assert batches.tokens() == (69, 2 * 40 + 2 * 8 + 8)
    equal = Batches(batches.examples, 2, equal=True)
    assert equal.tokens() == (69, 2 * 40 + 2 * 8 + 2 * 8)


@pytest.mark.parametrize("first_epoch", [0, 3])
def test_the_dataset_gives_the_epochs_one_after_another(examples, first_epoch):
    batches = Batches(examples, 8, seed=5)
    dataset = batches.dataset(first_epoch)
    for name, spec in dataset.element_spec.items():
        assert spec.shape[0] is None, name
    expected = [b for i in range(2) for b in batches.epoch(first_epoch + i)]
    found = list(dataset.take(2 * len(batches)).as_numpy_iterator())
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array, name, strict=True)


@pytest.mark.parametrize(
    ("rows", "options", "size"),
    [(53, {"equal": True}, 8), (48, {}, 8), (5, {}, 5), (5, {"equal": True}, 8)],
)
def test_the_dataset_knows_the_rows_where_they_are_always_as_many(
    examples, rows, options, size
):
    batches = Batches(examples.select(np.arange(rows)), 8, seed=5, **options)
    for name, spec in batches.dataset().element_spec.items():
        assert spec.shape[0] == size, name


@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (0, 3), (2, 6)])
def test_a_data_set_begins_anywhere(examples, epoch, step):
    batches = Batches(examples, 8, 3)
    expected = [*batches.epoch(epoch)][step:] + [*batches.epoch(epoch + 1)][:2]
    found = batches.dataset(epoch, step).take(len(expected)).as_numpy_iterator()
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            np.testing.assert_array_equal(one[name], value, name)


@pytest.mark.parametrize("shares", [2, 3])
def test_the_parts_of_all_processes_are_the_rows_once(examples, shares):
    batches = Batches(examples, 8, 3, divisible_by=shares, equal=True)
    assert batches.padded_size % shares == 0
    count = len(batches)
    parts = [
        [*batches.dataset(0, 0, shares, range(i, i + 1)).take(count)]
        for i in range(shares)
    ]
    rows = np.concatenate([one["row_ids"] for part in parts for one in part])
    assert sorted(rows[rows >= 0]) == list(range(len(examples)))
    for batch, *pieces in zip(batches.epoch(0), *parts, strict=True):
        for name, value in batch.items():
            joined = np.concatenate([np.array(one[name]) for one in pieces])
            np.testing.assert_array_equal(joined, value, name)
    both = [*batches.dataset(0, 0, shares, range(2)).take(2)]
    np.testing.assert_array_equal(both[0]["row_ids"], parts[0][0]["row_ids"])
    np.testing.assert_array_equal(both[1]["row_ids"], parts[1][0]["row_ids"])
