"""A pass of the untouched model over the rows, as a task may ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tfft.data.batching import Batches, Examples
from tfft.tasks.encoded import Encoded
from tfft.tasks.task import TASKS
from tfft.tasks.text_classification import TextClassification


@dataclass(frozen=True)
class Compared(TextClassification):
    """Learns logits, and how far they moved from the untouched model's."""

    def reference(self, network):
        return lambda batch: {"start": network(batch)}

    def loss(self, outputs, batch):
        return ((outputs - batch["start"]) ** 2).sum(), batch["weights"].sum()


def encoded(lengths=(3, 5, 2)):
    tokens = [list(range(1, length + 1)) for length in lengths]
    values = {"labels": np.arange(len(lengths))}
    return Encoded(Examples({"token_ids": tokens}, values, {"token_ids": 0}))


def test_no_registered_task_asks_for_one_unless_it_says_so():
    for name in TASKS.names():
        assert not TASKS.resolve(name).has_reference


def network(batch):
    return np.stack([batch["token_ids"].sum(-1), batch["labels"]], -1)


def test_its_columns_reach_the_loss_of_the_same_rows():
    task, rows = Compared(), encoded()
    compute = task.reference(network)
    start = np.full((3, 2), -1)
    for batch in Batches(rows.examples, 2, divisible_by=4).epoch():
        real = batch["weights"] > 0
        start[batch["row_ids"][real]] = compute(batch)["start"][real]
    joined = rows.with_columns({"start": start})
    assert joined.examples.values.keys() == {"labels", "start"}
    assert rows.examples.values.keys() == {"labels"}
    for batch in Batches(joined.examples, 2, seed=3).epoch():
        np.testing.assert_array_equal(batch["start"], network(batch))
        assert task.loss(network(batch), batch) == (0, batch["weights"].sum())
        assert task.loss(network(batch) + 1, batch)[0] == 2 * len(batch["start"])


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"labels": np.zeros(3)}, "'labels' is already in the batch"),
        ({"token_ids": np.zeros(3)}, "'token_ids' is already in the batch"),
        ({"start": np.zeros(2)}, "2 of 3 examples"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, fault):
    with pytest.raises(ValueError, match=fault):
        encoded().with_columns(columns)
