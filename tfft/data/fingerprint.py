"""A name for the content of a table."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tfft.core.errors import DataError
from tfft.data.table import Table


def fingerprint(table: Table) -> str:
    """Returns the SHA-256 of the columns' names and the rows' values.

    It does not depend on where the rows were read nor on the order of the columns;
    it does on the order of the rows.

    Args:
        table: The rows.

    Raises:
        DataError: For values nested too deeply to be written down.

    >>> fingerprint(Table({"text": ["a"]}, "news.csv"))[:8]
    '2d0aa114'
    """
    encode = json.JSONEncoder(sort_keys=True, default=_named).encode
    names = sorted(table.columns)
    digest = hashlib.sha256(encode(names).encode("ascii"))
    try:
        for values in zip(*(table.columns[name] for name in names), strict=True):
            digest.update(b"\n" + encode(values).encode("ascii"))
    except (RecursionError, ValueError) as error:
        raise DataError(
            f"values cannot be written as JSON: {error}",
            where=table.source,
            fix="give text, numbers or short lists of them",
        ) from error
    return digest.hexdigest()


def _named(value: Any) -> dict[str, str]:
    """Tells a date or a decimal number from the text that shows it."""
    return {type(value).__name__: str(value)}
