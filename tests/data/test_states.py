"""Batches of states are those of ids, with states in place of them."""

from __future__ import annotations

import numpy as np
import pytest
from ml_dtypes import bfloat16

from tfft.core.errors import StorageError
from tfft.data.batching import Batches, Examples
from tfft.data.states import Ragged, StateExamples, new_array

LENGTHS = np.array([3, 20, 1, 40, 7])


@pytest.fixture(params=["memory", "disk"])
def array(request, tmp_path):
    """Makes an array where it is to be."""

    def make(shape, dtype):
        on_disk = request.param == "disk"
        made = new_array(shape, dtype, tmp_path / "a.bin" if on_disk else None)
        assert isinstance(made, np.memmap) is on_disk
        return made

    return make


@pytest.mark.parametrize("kind", ["float32", bfloat16])
def test_the_content_of_batches(array, kind):
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    values = array((starts[-1], 2), kind)
    values[:] = np.random.default_rng(0).normal(size=values.shape).astype(kind)
    rows = np.arange(5, dtype="float32")[:, None]
    labels = np.arange(5, dtype="int32")
    examples = StateExamples(
        {"states": Ragged(values, starts)},
        {"labels": labels, "summary": rows},
        {"states": 0},
        sizes=LENGTHS,
    )
    ids = Examples(
        {"token_ids": [[1] * n for n in LENGTHS]}, {"labels": labels}, {"token_ids": 0}
    )
    ours, theirs = (Batches(one, 2, seed=3) for one in (examples, ids))
    assert ours.tokens() == theirs.tokens()
    for order, batch, other in zip(
        theirs.rows(1), ours.epoch(1), theirs.epoch(1), strict=True
    ):
        expected = np.zeros((*other["token_ids"].shape, 2), kind)
        for index, row in enumerate(order):
            own = np.asarray(values)[starts[row] : starts[row + 1]]
            expected[index, : LENGTHS[row]] = own
            assert batch["summary"][index] == row
        np.testing.assert_array_equal(batch["states"], expected, strict=True)
        assert batch.keys() == {"states", "summary", *other} - {"token_ids"}
        for name in ("padding_mask", "labels", "weights"):
            np.testing.assert_array_equal(batch[name], other[name], strict=True)


def test_the_dataset_carries_states_of_sixteen_bits():
    values = np.arange(6, dtype="float32").reshape(3, 2).astype(bfloat16)
    examples = StateExamples(
        {"states": Ragged(values, np.array([0, 1, 3]))}, {}, {"states": 0},
        sizes=np.array([1, 2]),
    )  # fmt: skip
    batches = Batches(examples, 2)
    found = next(iter(batches.dataset().take(1).as_numpy_iterator()))
    expected = next(batches.epoch())
    assert found["states"].dtype == bfloat16
    np.testing.assert_array_equal(found["states"], expected["states"], strict=True)


def test_a_disk_without_room_refuses_before_anything_is_written(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write.*a\.bin"):
        new_array((10**9, 10**8), "float32", tmp_path / "a.bin")
