"""Reads CoNLL columns: one word per line, with blank lines between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tfft.core.errors import DataError, shorten
from tfft.data.table import Table
from tfft.data.text_files import opened

_DOCUMENT = "-DOCSTART-"
_BLANKS = re.compile("[ \t]+")


def read_conll(path: Path) -> Table:
    r"""Reads a file of columns; each sentence becomes a row of lists.

    Columns are separated by tabs, or by spaces in lines without a tab. They are named
    `column_1`, `column_2` and so on; the first is also named `tokens` and the last
    `ner_tags`. Lines that start with `-DOCSTART-` begin a document; the column
    `document` holds its number.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.

    Raises:
        DataError: For a line with more or fewer columns than the first; names the
            line.
    """
    with opened(path) as file:
        sentences, starts, documents = _sentences(file, str(path))
    if not sentences:
        raise DataError("file has no words", where=f"{path}:1", fix="add a sentence")
    width = len(sentences[0][0])
    columns = {
        f"column_{index + 1}": [[word[index] for word in one] for one in sentences]
        for index in range(width)
    }
    columns["tokens"] = columns["column_1"]
    columns["ner_tags"] = columns[f"column_{width}"]
    if documents[-1]:
        columns["document"] = documents
    return Table(columns, str(path), tuple(starts))


def _sentences(
    file: Iterable[str], source: str
) -> tuple[list[list[list[str]]], list[int], list[int]]:
    """Returns the sentences, with the line and the document number of each."""
    sentences: list[list[list[str]]] = []
    starts: list[int] = []
    documents: list[int] = []
    width = document = 0
    inside = False
    for number, line in enumerate(file, start=1):
        line = line.rstrip("\r\n")
        if line.startswith(_DOCUMENT):
            document += 1
        if not line.strip(" \t") or line.startswith(_DOCUMENT):
            inside = False
            continue
        cells = line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))
        width = width or len(cells)
        _check_width(cells, width, f"{source}:{number}")
        if not inside:
            sentences.append([])
            starts.append(number)
            documents.append(document)
            inside = True
        sentences[-1].append(cells)
    return sentences, starts, documents


def _check_width(cells: list[str], width: int, where: str) -> None:
    if width < 2:
        raise DataError(
            f"line has one column: {shorten(cells[0])}",
            where=where,
            expected="a word and its tag, separated by a space or a tab",
            fix="add the tags; to ask about text without tags, use predict",
        )
    if len(cells) != width:
        raise DataError(
            f"line has {len(cells)} columns: {shorten(cells)}",
            where=where,
            expected=f"{width}, as in the first line",
            fix="give every word the same number of columns",
        )
    if not all(cells):
        raise DataError(
            f"line has an empty column: {shorten(cells)}",
            where=where,
            expected="a value in each column",
            fix="write _ for an empty value",
        )
