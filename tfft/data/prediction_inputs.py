"""Inputs for predictions: a list of values, or anything that holds rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MappingView, Sequence
from typing import Any

from tfft.core.errors import DataError, shorten
from tfft.data.objects import column_values
from tfft.data.paths import is_path
from tfft.data.sources import read_one
from tfft.data.split_names import split_of
from tfft.data.table import Table


def prediction_inputs(inputs: Any, option: str = "inputs") -> Table | list[Any]:
    """Returns the values of a list, or the table of any other object that holds rows.

    A data frame is read as a table, and not as the list of its column names, which is
    what iterating over it gives.

    Args:
        inputs: A list, an array or a column of texts, of pairs or of rows; or anything
            that training accepts as data. Of several splits, the test split is used.
        option: The option's name in messages.

    Raises:
        ConfigError: For any other object, such as a set, which has no order.
        DataError: For a single text or row, and for unusable rows.
        MissingInputError: For a file that does not exist.

    >>> prediction_inputs(["good", "bad"])
    ['good', 'bad']
    >>> prediction_inputs({"text": ["good", "bad"]}).columns
    {'text': ['good', 'bad']}
    """
    if isinstance(inputs, str | bytes) and not is_path(inputs):
        raise _single(f"{option} are a single text: {shorten(inputs)}")
    if isinstance(inputs, dict) and _is_one_row(inputs):
        raise _single(f"{option} are a single row: {shorten(inputs)}")
    if isinstance(inputs, str | os.PathLike | Table):
        return read_one(inputs, option)
    values = column_values(inputs)
    if values is not None:
        return values
    # Iterating over other objects gives column names (frames) or has no order (sets).
    if isinstance(inputs, Sequence | Iterator | MappingView):
        return list(inputs)
    return read_one(inputs, option)


def _is_one_row(inputs: Mapping[Any, Any]) -> bool:
    return any(
        isinstance(value, str | bytes) and not split_of(name)
        for name, value in inputs.items()
    )


def _single(what: str) -> DataError:
    return DataError(
        what,
        expected="a list of texts, or of lists or dicts; or a table or a data file",
        fix="put it into a list",
    )
