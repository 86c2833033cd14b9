"""Hashes of the content of a table and of its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfft.core.errors import DataError
from tfft.data.table import Table


def fingerprint(table: Table) -> str:
    """Returns the SHA-256 of the column names and the row values.

    It depends on the order of the rows, but not on the order of the columns nor on
    where the rows were read from.

    Args:
        table: The rows.

    Raises:
        DataError: For values that are nested too deeply to serialize.

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

    Among a million rows, two different ones collide with a chance of 1 in 37 million.

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
    """Distinguishes a date or a decimal number from its text."""
    return {type(value).__name__: str(value)}
