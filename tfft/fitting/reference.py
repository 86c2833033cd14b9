"""A pass of the untouched model over the rows, for tasks that compare with it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from tfft.data.batching import Batches, Examples
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.task import Labels, ReferencePass, Task

_ROWS_AT_ONCE = 16


def reference_of(
    task: Task, pretrained: Pretrained, labels: Labels, seed: int
) -> ReferencePass | None:
    """Returns the pass that a task asks for; None for a task without one.

    Args:
        task: The task.
        pretrained: The plain backbone, before a method changes it.
        labels: The labels by id.
        seed: For the head.
    """
    if not task.has_reference:
        return None
    return task.reference(task.build(pretrained, labels, seed))


def with_reference(examples: Examples, compute: ReferencePass | None) -> Examples:
    """Returns examples with the columns that a pass of the untouched model gives.

    Args:
        examples: Encoded rows.
        compute: The pass; None leaves the examples as they are.
    """
    if compute is None:
        return examples
    found: dict[str, list[Any]] = defaultdict(lambda: [None] * len(examples))
    batches = Batches(examples, _ROWS_AT_ONCE)
    for rows in batches.rows():
        for name, column in compute(batches.batch(rows)).items():
            for row, value in zip(rows, np.asarray(column), strict=False):
                found[name][row] = value
    columns = {name: np.stack(column) for name, column in found.items()}
    return Encoded(examples).with_columns(columns).examples
