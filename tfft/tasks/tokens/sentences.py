"""Converts rows of token classification into sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tfft.core.errors import DataError, shorten
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.tasks.tokens.tag_schemes import (
    SCHEMES,
    Scheme,
    TagSpan,
    detect,
    problem,
    spans_of,
    split_tag,
    tags_of,
)
from tfft.tasks.tokens.words import Offsets, joined, words_of


class Sentence(NamedTuple):
    """A text, its words and their tags.

    Attributes:
        text: The text; for a list of words, the words joined with spaces.
        words: Start and end character of each word.
        tags: IOB2 tags; empty if not requested.
    """

    text: str
    words: list[Offsets]
    tags: list[str]


@dataclass(frozen=True)
class SentenceColumns:
    """Reads sentences from either form of rows.

    Args:
        text: Column with texts.
        spans: Column with the spans of the texts.
        tokens: Column with lists of words.
        tags: Column with the tags of the words.
        scheme: Scheme of the tags; `auto` detects it.
    """

    text: str
    spans: str
    tokens: str
    tags: str
    scheme: Scheme

    def has_tokens(self, table: Table) -> bool:
        """Returns whether rows have lists of words instead of texts."""
        return self.tokens in table.columns or self.text not in table.columns

    def bad_rows(self, table: Table, *, labelled: bool) -> list[BadRow]:
        """Returns the unusable rows, with the first reason for each."""
        read = self._token_problems if self.has_tokens(table) else self._text_problems
        return [
            BadRow(row, column, reason)
            for row, (column, reason) in enumerate(read(table, labelled))
            if reason
        ]

    def sentences(self, table: Table, *, labelled: bool) -> list[Sentence]:
        """Returns the sentences of usable rows."""
        if not self.has_tokens(table):
            return [
                _from_spans(text, spans if labelled else [])
                for text, spans in zip(
                    *self._text_columns(table, labelled), strict=True
                )
            ]
        found = [joined(words) for words in table.column(self.tokens, "task.tokens")]
        if not labelled:
            return [Sentence(text, offsets, []) for text, offsets in found]
        tags = table.column(self.tags, "task.tags")
        scheme = self.scheme_of(tags)
        return [
            Sentence(text, offsets, tags_of(spans_of(one, scheme), len(one)))
            for (text, offsets), one in zip(found, tags, strict=True)
        ]

    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table from texts, lists of words, or rows with either.

        Raises:
            DataError: For any other input, and for texts mixed with lists of words.
        """
        if isinstance(inputs, str):
            raise DataError(
                f"inputs are a single text: {shorten(inputs)}",
                expected="a list of texts, or of lists of words",
                fix="put it into a list",
            )
        rows = [self._row(value, index) for index, value in enumerate(inputs)]
        return Table.from_rows(rows, "inputs")

    def _row(self, value: Any, index: int) -> dict[str, Any]:
        if isinstance(value, Mapping):
            for name in (self.tokens, self.text):
                if name in value:
                    return {name: value[name]}
        elif isinstance(value, str):
            return {self.text: value}
        elif isinstance(value, list | tuple):
            return {self.tokens: list(value)}
        raise DataError(
            f"input {index + 1} is {shorten(value)}",
            expected="a text or a list of words",
            fix=f"give the column {self.tokens} or {self.text}",
        )

    def check(self, table: Table) -> None:
        """Raises an error for the first row that is not a list of words.

        Raises:
            DataError: With the reason and its position.
        """
        for row, column, reason in self.bad_rows(table, labelled=False):
            raise DataError(
                reason,
                where=f'{table.where(row)}, column "{column}"',
                expected="a list of words",
                fix="leave out the row, or give its words",
            )

    def scheme_of(self, tags: Sequence[Sequence[str]]) -> Scheme:
        """Returns the scheme of the tags, or the one that the fewest rows break."""
        if self.scheme != "auto":
            return self.scheme
        found = detect(tags)
        if found:
            return found
        return min(SCHEMES, key=lambda one: sum(bool(problem(t, one)) for t in tags))

    def _text_columns(
        self, table: Table, labelled: bool
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        texts = table.column(self.text, "task.text")
        if labelled:
            return texts, table.column(self.spans, "task.spans")
        return texts, [None] * len(texts)

    def _text_problems(self, table: Table, labelled: bool) -> Iterator[tuple[str, str]]:
        for text, spans in zip(*self._text_columns(table, labelled), strict=True):
            if not isinstance(text, str) or not words_of(text):
                yield self.text, "no words"
            else:
                yield self.spans, _span_problem(text, spans) if labelled else ""

    def _token_problems(
        self, table: Table, labelled: bool
    ) -> Iterator[tuple[str, str]]:
        words = table.column(self.tokens, "task.tokens")
        reasons = [_word_problem(one) for one in words]
        if not labelled:
            yield from ((self.tokens, reason) for reason in reasons)
            return
        tags = table.column(self.tags, "task.tags")
        forms = [_tag_problem(*pair) for pair in zip(words, tags, strict=True)]
        good = [
            one for one, a, b in zip(tags, reasons, forms, strict=True) if not a + b
        ]
        scheme = self.scheme_of(good)
        for word, one, reason, form in zip(words, tags, reasons, forms, strict=True):
            if reason:
                yield self.tokens, reason
            elif form:
                yield self.tags, form
            else:
                yield self.tags, _scheme_problem(word, one, scheme)


def _word_problem(words: Any) -> str:
    if not isinstance(words, list | tuple):
        return f"{type(words).__name__} instead of a list of words"
    if not words:
        return "no words"
    for index, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            return f"word {index + 1} is {shorten(word)}"
    return ""


def _tag_problem(words: Any, tags: Any) -> str:
    if not isinstance(tags, list | tuple):
        return f"{type(tags).__name__} instead of a list of tags"
    if isinstance(words, list | tuple) and len(words) != len(tags):
        return f"{len(tags)} tags for {len(words)} words"
    for index, tag in enumerate(tags):
        if not isinstance(tag, str):
            return f"tag {index + 1} is {shorten(tag)} instead of text such as B-PER"
        try:
            split_tag(tag)
        except ValueError as error:
            return f"{error} (word {index + 1}, {shorten(words[index])})"
    return ""


def _scheme_problem(words: Sequence[str], tags: Sequence[str], scheme: Scheme) -> str:
    found = problem(tags, scheme)
    if not found:
        return ""
    index, why = found
    return f"{why} as {scheme} requires (word {index + 1}, {shorten(words[index])})"


def _span_problem(text: str, spans: Any) -> str:
    if not isinstance(spans, list | tuple):
        return f"{type(spans).__name__} instead of a list of spans"
    words = words_of(text)
    starts, ends = {start for start, _ in words}, {end for _, end in words}
    reached = 0
    for start, end, kind in sorted(map(_span, spans)):
        if not isinstance(kind, str) or not kind or kind == "O":
            return f"span {shorten(spans)} without start, end and label"
        if not 0 <= start < end <= len(text):
            return f"span {start} to {end} beyond the text of {len(text)} characters"
        if start < reached:
            return f"span {start} to {end} overlaps the one before"
        if start not in starts or end not in ends:
            return f"span {start} to {end} cuts a word: {shorten(text[start:end])}"
        reached = end
    return ""


def _span(value: Any) -> tuple[int, int, str]:
    """Returns start, end and type; the type is empty for an invalid value."""
    fields = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict) and {"start", "end", "label"} <= value.keys():
        fields = (value["start"], value["end"], value["label"])
    if isinstance(fields, list | tuple) and len(fields) == 3:
        start, end, kind = fields
        if type(start) is int and type(end) is int and isinstance(kind, str):
            return start, end, kind
    return 0, 0, ""


def _from_spans(text: str, spans: Sequence[Any]) -> Sentence:
    words = words_of(text)
    starts = {start: index for index, (start, _) in enumerate(words)}
    ends = {end: index + 1 for index, (_, end) in enumerate(words)}
    found = [
        TagSpan(starts[start], ends[end], kind)
        for start, end, kind in map(_span, spans)
    ]
    return Sentence(text, words, tags_of(found, len(words)))
