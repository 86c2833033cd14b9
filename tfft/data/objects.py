"""Reads Python objects: rows, columns, data frames and datasets.

Types are recognized by the names of their modules, so that nothing is imported that the
caller did not import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tfft.core.errors import ConfigError, one_of, shorten
from tfft.data.column_names import check_column_names
from tfft.data.parquet import arrow_table
from tfft.data.table import Table
from tfft.data.tf_dataset import read_tf_dataset
from tfft.data.values import converted, label_names, plain

# The method that Arrow's tables and other libraries' frames (Polars, DuckDB) share.
_ARROW_STREAM = "__arrow_c_stream__"
_ACCEPTED = (
    "a path (.csv, .tsv, .jsonl, .parquet or a folder)",
    '"tfds:NAME"',
    "a pandas.DataFrame",
    "a list of dicts",
    "a dict of columns",
    "a dict of splits",
    "a tf.data.Dataset",
    "a datasets.Dataset",
    "an Arrow table",
)


def read_object(data: Any, option: str = "data", split: str = "") -> Table:
    """Reads an object of any type in the table at the end of this file.

    Args:
        data: The object.
        option: The option that holds it, for messages.
        split: The name of its split, for messages.

    Raises:
        ConfigError: For an object of any other type.
        DataError: For an object with unusable rows.
    """
    found = _reader_of(data)
    if found:
        source, reader = found
        return reader(data, f"{split} {source}".strip())
    # A single column, such as a Series, also has that method.
    if hasattr(data, _ARROW_STREAM) and hasattr(data, "columns"):
        return _read_arrow(data, f"{split} {type(data).__name__}".strip())
    raise ConfigError(
        f"{shorten(data)} is of type {type(data).__name__}",
        where=option,
        expected=one_of(_ACCEPTED),
        fix="convert it to a pandas.DataFrame or a list of dicts",
    )


def _reader_of(data: Any) -> tuple[str, Callable[[Any, str], Table]] | None:
    for kind in type(data).__mro__:
        key = kind.__module__.partition(".")[0], kind.__name__
        if key in _READERS:
            return _READERS[key]
    return None


def column_values(data: Any) -> list[Any] | None:
    """Returns the values of an array or a column, or None for other objects.

    >>> import numpy as np
    >>> column_values(np.array([b"good", b"bad"])), column_values({"text": []})
    (['good', 'bad'], None)
    """
    if _reader_of(data) or hasattr(data, "columns"):
        return None
    for method in ("tolist", "to_pylist", "to_list", "numpy"):
        if hasattr(data, method):
            found = getattr(data, method)()
            found = found.tolist() if method == "numpy" else found
            return plain(found) if isinstance(found, list) else None
    return None


def is_of(data: Any, package: str, name: str) -> bool:
    """Returns whether an object's class or one of its bases has that name.

    >>> is_of({}, "builtins", "dict"), is_of({}, "datasets", "DatasetDict")
    (True, False)
    """
    return any(
        (kind.__module__.partition(".")[0], kind.__name__) == (package, name)
        for kind in type(data).__mro__
    )


def _read_table(table: Table, _source: str) -> Table:
    return table


def _read_rows(rows: Iterable[Mapping[str, Any]], source: str) -> Table:
    return _plain_table(Table.from_rows(rows, source).columns, source)


def _read_columns(columns: Mapping[str, Any], source: str) -> Table:
    for name, values in columns.items():
        if not isinstance(values, list | tuple) and not hasattr(values, "tolist"):
            raise ConfigError(
                f"column {shorten(name)} is of type {type(values).__name__}: "
                f"{shorten(values)}",
                where=source,
                expected="a list or an array of values",
                fix='give columns as {"text": [...], "label": [...]}',
            )
    return _plain_table(columns, source)


def _read_frame(frame: Any, source: str) -> Table:
    names = list(frame.columns)
    check_column_names(names, source)
    return _plain_table({name: frame[name].tolist() for name in names}, source)


def _read_arrow(data: Any, source: str) -> Table:
    import pyarrow

    return arrow_table(pyarrow.table(data), source)


def _read_hugging_face(dataset: Any, source: str) -> Table:
    features = getattr(dataset, "features", None) or {}
    columns = dataset.to_dict()
    table = _plain_table({name: columns[name] for name in dataset.column_names}, source)
    return with_label_names(table, features)


def with_label_names(table: Table, features: Mapping[str, Any]) -> Table:
    """Returns a table with class names instead of class numbers.

    Args:
        table: The rows.
        features: The features of the columns, from TensorFlow Datasets or from Hugging
            Face's `datasets`.

    Raises:
        DataError: For a class number without a name.
    """
    columns = dict(table.columns)
    for name in columns.keys() & set(features):
        columns[name] = converted(
            columns[name],
            lambda value, feature=features[name]: label_names(value, feature),
            name,
            table.source,
        )
    return replace(table, columns=columns)


def _plain_table(columns: Mapping[str, Any], source: str) -> Table:
    check_column_names(list(columns), source)
    return Table(
        {
            name: converted(_items(values), plain, name, source)
            for name, values in columns.items()
        },
        source,
    )


def _items(values: Any) -> Iterable[Any]:
    return values if isinstance(values, list | tuple) else values.tolist()


# Package and class, the name in messages, and the function that reads it.
_READERS: dict[tuple[str, str], tuple[str, Callable[[Any, str], Table]]] = {
    ("tfft", "Table"): ("Table", _read_table),
    ("builtins", "list"): ("list", _read_rows),
    ("builtins", "tuple"): ("list", _read_rows),
    ("builtins", "dict"): ("dict", _read_columns),
    ("pandas", "DataFrame"): ("DataFrame", _read_frame),
    ("tensorflow", "DatasetV2"): ("tf.data.Dataset", read_tf_dataset),
    ("datasets", "Dataset"): ("datasets.Dataset", _read_hugging_face),
}
