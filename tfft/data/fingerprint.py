"""Names for the content of a table, and of its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

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


def row_fingerprints(texts: Iterable[Sequence[str]]) -> np.ndarray:
    """Returns 64 bits of the SHA-256 of each row's texts, shape (rows,).

    Two of a million rows have the same with a chance of 1 in 37 million.

    Args:
        texts: The texts of each row.

    >>> row_fingerprints([("a", "b"), ("ab",), ("a", "b")]).tolist()
    [3842928072485716121, 17999318946059844519, 3842928072485716121]
    """
    found = [
        int.from_bytes(hashlib.sha256(json.dumps(row).encode("ascii")).digest()[:8])
        for row in texts
    ]
    return np.array(found, "uint64")


def _named(value: Any) -> dict[str, str]:
    """Tells a date or a decimal number from the text that shows it."""
    return {type(value).__name__: str(value)}
