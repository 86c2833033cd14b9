"""Reads CSV, TSV and JSON Lines; every error names the line."""

from __future__ import annotations

import codecs
import contextlib
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError, shorten
from tfft.data.column_names import check_column_names, fix_delimiter, named_index
from tfft.data.strict_json import parse_object
from tfft.data.table import Table

_FIELD_LIMIT = 2**31 - 1  # the largest that the csv module accepts on every system
_UTF_8 = "save it as UTF-8"


def read_csv(path: Path, delimiter: str = ",") -> Table:
    """Reads a file of delimited cells whose first line names the columns.

    Every cell stays text: "NA" and "null" are words, an empty cell is "". Leading
    columns without a name are an index that pandas wrote. They get the names that
    pandas gives them when it reads the file, such as `Unnamed: 0`.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.
        delimiter: The character between cells.

    Raises:
        DataError: For a row without exactly one value for each column; names the
            line.
    """
    lines: list[int] = []
    with opened(path) as file, _large_fields():
        text = _without_nul(file, str(path))
        records = _records(csv.reader(text, delimiter=delimiter, strict=True), path)
        start, header = next(records, (1, []))
        if not header:
            raise _empty(path, "file is empty")
        header = named_index(header)
        check_column_names(header, f"{path}:{start}")
        columns: dict[str, list[str]] = {name: [] for name in header}
        for line, cells in records:
            _check_width(cells, header, f"{path}:{line}")
            for values, cell in zip(columns.values(), cells, strict=True):
                values.append(cell)
            lines.append(line)
    if not lines:
        raise _empty(path, "file has a header and no rows")
    return Table(columns, str(path), tuple(lines))


def read_jsonl(path: Path) -> Table:
    """Reads a file with one JSON object per line; blank lines are skipped.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.

    Raises:
        DataError: For a line that is not an object with the keys of the first line.
    """
    rows, lines = [], []
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(parse_object(line, f"{path}:{number}"))
                lines.append(number)
    if not rows:
        raise _empty(path, "file is empty")
    return Table.from_rows(rows, str(path), lines)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Iterable[str]]:
    """Opens a text file in UTF-8 and skips a byte order mark.

    Raises:
        DataError: For another encoding; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise _undecodable(path) from error


def _undecodable(path: Path) -> DataError:
    """Finds the line; Python's decoder cannot name it because it reads in blocks."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return DataError("file looks like UTF-16", where=f"{path}:1", fix=_UTF_8)
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            at = error.start
            shown = shorten(line[max(0, at - 20) : at + 20])
            what = f"byte 0x{line[at]:02x} is not UTF-8 (byte {at + 1} of the line)"
            return DataError(f"{what}: {shown}", where=f"{path}:{number}", fix=_UTF_8)
    return DataError("file is not UTF-8", where=str(path), fix=_UTF_8)


def _empty(path: Path, what: str) -> DataError:
    return DataError(what, where=f"{path}:1", fix="add at least one row")


@contextlib.contextmanager
def _large_fields() -> Iterator[None]:
    before = csv.field_size_limit(_FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _without_nul(file: Iterable[str], source: str) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise DataError(
                f"character NUL at column {line.index(chr(0)) + 1}",
                where=f"{source}:{number}",
                fix=f"remove it; if the file is UTF-16, {_UTF_8}",
            )
        yield line


def _records(reader: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields each record with the line on which it starts, without blank lines."""
    header: list[str] = []
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            where = (start, reader.line_num)
            raise _bad_quotes(error, where, path, fix_delimiter(header)) from error
        header = header or cells
        if cells:
            yield start, cells


def _bad_quotes(
    error: csv.Error, lines: tuple[int, int], path: Path, fix: str
) -> DataError:
    unclosed = "unexpected end" in str(error)
    start, end = lines
    return DataError(
        "a quote is opened in this row and never closed"
        if unclosed
        else f"the row that ends on line {end} cannot be split: {error}",
        where=f"{path}:{start}",
        fix=fix or 'close the quote; a quote inside a quoted cell is written ""',
    )


def _check_width(cells: list[str], header: list[str], where: str) -> None:
    if len(cells) != len(header):
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        fix = "add the missing cells"
        if len(cells) > len(header):
            fix = "put quotes around a cell that holds the delimiter"
        raise DataError(
            f"row has {count}: {shorten(cells)}",
            where=where,
            expected=f"{len(header)}, as in the header",
            fix=fix_delimiter(header) or fix,
        )
