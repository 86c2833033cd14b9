"""Reads the JSON files of SQuAD, versions 1 and 2."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError, shorten
from tfft.data.table import Table

_FORM = 'SQuAD\'s form: {"data": [{"title", "paragraphs": [{"context", "qas": […]}]}]}'


def read_squad(path: Path) -> Table:
    """Reads questions about paragraphs; each question becomes a row.

    The columns are `id` (always text, even if it is a number in the file), `title`,
    `context`, `question` and `answers`, a list of dicts with `text` and
    `answer_start`. A version 2 question without an answer has an empty list.

    Args:
        path: The file, in UTF-8.

    Raises:
        DataError: For a file of another form, and for an id that occurs twice; names
            the line.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise DataError(
            f"invalid JSON: {error}", where=f"{path}:{line}", fix="write it again"
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise DataError(
            f"file holds {shorten(data)}",
            where=f"{path}:1",
            expected=_FORM,
            fix="write other rows as one object per line and name the file .jsonl",
        )
    rows, lines = [], []
    finder = _Lines(content)
    for row in _rows(data["data"], str(path)):
        lines.append(finder.of_id(row["id"]))
        rows.append(row)
    if not rows:
        raise DataError("file has no questions", where=f"{path}:1", fix="add some")
    _check_ids(rows, lines, str(path))
    return Table.from_rows(rows, str(path), lines)


def _rows(articles: list[Any], source: str) -> Iterator[dict[str, Any]]:
    for a, article in enumerate(articles):
        for p, paragraph in enumerate(_field(article, "paragraphs", list, source)):
            where = f"{source}, article {a + 1}, paragraph {p + 1}"
            context = _field(paragraph, "context", str, where)
            for question in _field(paragraph, "qas", list, where):
                yield {
                    "id": _id(question, where),
                    "title": str(article.get("title") or ""),
                    "context": context,
                    "question": _field(question, "question", str, where),
                    "answers": _answers(question, where),
                }


def _id(question: Any, where: str) -> str:
    """Returns the id as text, because SQuAD's own script looks predictions up by it."""
    found = question.get("id") if isinstance(question, dict) else None
    return str(found) if type(found) is int else _field(question, "id", str, where)


def _answers(question: dict[str, Any], where: str) -> list[dict[str, Any]]:
    where = f"{where}, question {question['id']}"
    if question.get("is_impossible"):
        return []
    return [
        {
            "text": _field(answer, "text", str, where),
            "answer_start": _field(answer, "answer_start", int, where),
        }
        for answer in _field(question, "answers", list, where)
    ]


def _field(value: Any, name: str, kind: type, where: str) -> Any:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise DataError(
            f'"{name}" is missing or of another type in {shorten(value)}',
            where=where,
            expected=_FORM,
            fix="write other rows as one object per line and name the file .jsonl",
        )
    return found


def _check_ids(rows: list[dict[str, Any]], lines: list[int], source: str) -> None:
    first: dict[str, int] = {}
    for row, line in zip(rows, lines, strict=True):
        if row["id"] in first:
            raise DataError(
                f"id {shorten(row['id'])} occurs twice, first on line "
                f"{first[row['id']]}",
                where=f"{source}:{line}",
                expected="a unique id for each question",
                fix="remove one of the two, or give it another id",
            )
        first[row["id"]] = line


class _Lines:
    """Finds the lines of questions, in the order of the file."""

    def __init__(self, content: str) -> None:
        self._content = content
        self._at, self._line = 0, 1

    def of_id(self, name: str) -> int:
        """Returns the line of the next occurrence of an id."""
        spellings = (json.dumps(name), json.dumps(name, ensure_ascii=False), name)
        written = "|".join(f"{re.escape(one)}(?![\\w.])" for one in spellings)
        found = re.compile(rf'"id"\s*:\s*({written})').search(self._content, self._at)
        if found:
            self._line += self._content.count("\n", self._at, found.start(1))
            self._at = found.end()
        return self._line
