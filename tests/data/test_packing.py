from __future__ import annotations

import numpy as np
import pytest

from tfft.data.packing import best_fit_decreasing, pack


@pytest.mark.parametrize("seed", range(5))
def test_every_example_is_in_one_row_and_no_row_is_too_long(seed):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 65, 200).tolist()
    rows = best_fit_decreasing(lengths, 64)
    assert sorted(index for row in rows for index in row) == list(range(200))
    fills = [sum(lengths[index] for index in row) for row in rows]
    assert max(fills) <= 64
    # The bound of best-fit decreasing against the room that is needed at least.
    assert len(rows) <= 11 / 9 * -(-sum(lengths) // 64) + 1
    # No two rows would fit into one.
    assert sum(sorted(fills)[:2]) > 64


def test_each_example_goes_where_it_leaves_least_room():
    # 6 and 5 open rows with 2 and 3 left; 3 fits the second exactly, 2 the first.
    assert best_fit_decreasing([6, 5, 3, 2], 8) == [[0, 3], [1, 2]]


def test_equal_lengths_keep_their_order():
    assert best_fit_decreasing([4, 4, 4, 4], 8) == [[0, 1], [2, 3]]


def test_nothing_packs_into_nothing():
    assert best_fit_decreasing([], 8) == []
    assert pack([], []) == ([], [], [])


def test_an_example_that_fits_no_row_is_refused():
    with pytest.raises(ValueError, match="9 tokens exceeds 8"):
        best_fit_decreasing([3, 9], 8)


def test_tokens_positions_and_numbers_go_together():
    tokens, positions, sequences = pack([[5, 6, 7], [8], [9, 10]], [[0, 2], [1]])
    assert tokens == [[5, 6, 7, 9, 10], [8]]
    assert positions == [[0, 1, 2, 0, 1], [0]]
    assert sequences == [[1, 1, 1, 2, 2], [1]]
