"""Reads Parquet files and Arrow tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError
from tfft.data.column_names import check_column_names
from tfft.data.table import Table
from tfft.data.values import converted, plain


def read_parquet(path: Path) -> Table:
    """Reads a Parquet file; nulls and NaN become None, lists stay lists.

    Args:
        path: The file. Folder names such as `label=1` add no columns.

    Raises:
        DataError: For a file that is not Parquet, is damaged or has no rows.
    """
    import pyarrow
    import pyarrow.parquet

    source = str(path)
    with path.open("rb") as file:
        try:
            arrow = pyarrow.parquet.ParquetFile(file).read()
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(
                f"cannot be read as Parquet: {str(error).splitlines()[0]}",
                where=source,
                fix="write the file again",
            ) from error
    if not arrow.num_rows or not arrow.num_columns:
        raise DataError("file holds no rows", where=source, fix="add at least one row")
    return arrow_table(arrow, source)


def arrow_table(arrow: Any, source: str) -> Table:
    """Returns the rows of a `pyarrow.Table`.

    Args:
        arrow: The `pyarrow.Table`.
        source: Its name in messages.

    Raises:
        DataError: For unusable column names or values.
    """
    names = arrow.column_names
    check_column_names(names, source)
    convert = partial(converted, convert=plain, source=source)
    columns = zip(names, arrow.columns, strict=True)
    return Table(
        {name: convert(values.to_pylist(), column=name) for name, values in columns},
        source,
    )
