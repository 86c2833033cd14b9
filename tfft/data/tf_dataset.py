"""Reads a `tf.data.Dataset` of dicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tfft.core.errors import DataError, shorten
from tfft.data.column_names import check_column_names
from tfft.data.table import Table
from tfft.data.values import converted, plain

_NEW_ELEMENTS = ("Unbatch", "FlatMap", "Interleave")


def read_tf_dataset(dataset: Any, source: str = "tf.data.Dataset") -> Table:
    """Reads a finite, unbatched dataset whose elements are dicts of tensors.

    Args:
        dataset: The `tf.data.Dataset`.
        source: Its name in messages.

    Raises:
        DataError: For any other dataset, and when reading it fails.
    """
    _check_elements(dataset, source)
    columns: dict[str, list[Any]] = {name: [] for name in dataset.element_spec}
    for element in _elements(dataset, source):
        for name, value in element.items():
            columns[name].append(value)
    return Table(
        {
            name: converted(values, plain, name, source)
            for name, values in columns.items()
        },
        source,
    )


def _elements(dataset: Any, source: str) -> Iterator[dict[str, Any]]:
    import tensorflow as tf

    row = 0
    try:
        for element in dataset.as_numpy_iterator():
            row += 1
            yield element
    except tf.errors.OpError as error:
        reason = re.sub(r"\{\{.*?\}\}", "", error.message)  # names of graph nodes
        raise DataError(
            f"reading failed: {shorten(reason.strip().partition(chr(10))[0])}",
            where=f"{source} row {row + 1}",
            fix="iterate over the dataset once to see the whole error",
        ) from error


def _check_elements(dataset: Any, source: str) -> None:
    import tensorflow as tf

    spec = dataset.element_spec
    if not isinstance(spec, dict):
        raise DataError(
            f"elements are not dicts but {shorten(spec)}",
            where=source,
            expected='dicts such as {"text": ..., "label": ...}',
            fix='map them: dataset.map(lambda text, label: {"text": text, ...})',
        )
    check_column_names(list(spec), source)
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        fix = "leave out repeat(), or add take(n)"
        raise DataError("dataset has no end", where=source, fix=fix)
    _check_tensors(tf.nest.flatten(spec), source)
    if all(_has_rows(part) for part in tf.nest.flatten(spec)) and _is_batched(dataset):
        raise DataError(
            f"dataset is batched: {shorten(spec)}",
            where=source,
            expected="one row per element",
            fix="add unbatch(), or leave out batch()",
        )


def _check_tensors(specs: list[Any], source: str) -> None:
    import tensorflow as tf

    for spec in specs:
        if not isinstance(spec, tf.TensorSpec | tf.RaggedTensorSpec):
            raise DataError(
                f"elements hold a {type(spec).__name__}",
                where=source,
                expected="dense or ragged tensors",
                fix="convert it with map, for example by tf.sparse.to_dense",
            )


def _has_rows(spec: Any) -> bool:
    return spec.shape.rank is None or spec.shape.rank > 0


def _is_batched(dataset: Any) -> bool:
    """Looks for batch() among the steps.

    The shapes are not enough: a batch of texts and one list of words are both vectors.
    If TensorFlow hides its steps, lists in a text column are refused later.
    """
    name = type(dataset).__name__
    if any(step in name for step in _NEW_ELEMENTS):
        return False
    return "Batch" in name or any(map(_is_batched, getattr(dataset, "_inputs", list)()))
