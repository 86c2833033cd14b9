"""Converts common formats of rows for language models into one."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfft.core.errors import ConfigError, one_of, shorten
from tfft.data.chat_columns import with_columns
from tfft.data.table import Table
from tfft.data.turns import (
    ROLES,
    SHAREGPT_ROLES,
    Conversation,
    Problem,
    Turn,
    parse_turns,
)


def detect(table: Table) -> str:
    """Returns the name of the format that a table's columns have.

    Raises:
        ConfigError: When the columns fit no format, or several.

    >>> detect(Table({"prompt": ["a"], "completion": ["b"]}, "list"))
    'prompt_completion'
    """
    found = [
        name
        for name, (columns, _) in FORMS.items()
        if all(column in table.columns for column in columns)
    ]
    if len(found) == 1:
        return found[0]
    known = (f"{name} ({', '.join(columns)})" for name, (columns, _) in FORMS.items())
    raise ConfigError(
        f"columns {', '.join(table.columns)}"
        + (f" fit several formats: {', '.join(found)}" if found else ""),
        where=table.source,
        expected=one_of(known),
        fix="choose one with task.format"
        if found
        else "rename the columns, or describe the prompt with task.template",
    )


def parse(
    row: Mapping[str, Any], form: str, *, answered: bool = True
) -> Conversation | Problem:
    """Returns a row as a conversation, or the problem with it.

    Args:
        row: Values by column name.
        form: A key of `FORMS`.
        answered: Whether the row must contain an answer. If not, it may end with a
            question.

    >>> parse({"prompt": "2+2=", "completion": "4"}, "prompt_completion")
    Conversation(turns=(), prompt='2+2=', completion='4', variables=())
    """
    columns, parser = FORMS[form]
    for column in columns[: None if answered else 1]:
        if row.get(column) is None:
            return Problem(column, f"{column} is missing")
    return parser(row, answered)


def parse_template(
    row: Mapping[str, Any], template: str, target: str, *, answered: bool = True
) -> Conversation | Problem:
    """Returns the conversation that a template makes from plain columns.

    Args:
        row: Values by column name.
        template: The prompt, with column names in braces.
        target: The column with the answer.
        answered: Whether the row must contain an answer.

    >>> row = {"source": "cat", "target": "Katze"}
    >>> parse_template(row, "German for {source}: ", "target").prompt
    'German for cat: '
    """
    names = template_columns(template)
    for column in (*names, target) if answered else names:
        problem = _text_problem(row.get(column))
        if problem:
            return Problem(column, problem)
    prompt = template.format(**{name: row[name] for name in names})
    return Conversation(prompt=prompt, completion=row[target] if answered else "")


def parse_table(
    table: Table, form: str, *, answered: bool = True
) -> list[Conversation | Problem]:
    """Applies `parse` to each row of a table."""
    return [parse(row, form, answered=answered) for row in rows_of(table)]


def parse_templated(
    table: Table, template: str, target: str, *, answered: bool = True
) -> list[Conversation | Problem]:
    """Applies `parse_template` to each row of a table.

    Raises:
        DataError: For a column that the table lacks.
    """
    for column in (*template_columns(template), *([target] if answered else [])):
        table.column(column, "task.template")
    return [
        parse_template(row, template, target, answered=answered)
        for row in rows_of(table)
    ]


def template_columns(template: str) -> tuple[str, ...]:
    """Returns the column names in the braces of a template.

    Raises:
        ConfigError: For braces that hold anything but a name.
    """
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(
            f"template {shorten(template)}: {error}",
            expected="column names in braces; {{ and }} for literal braces",
            fix="close every brace",
        ) from error
    names = [name for _, name, _, _ in fields if name is not None]
    odd = [one for one in fields if one[2] or one[3]]
    if odd or not names or not all(name.isidentifier() for name in names):
        raise ConfigError(
            f"template {shorten(template)}",
            expected="at least one column name in braces, such as {source}",
            fix="write only names between the braces",
        )
    return tuple(dict.fromkeys(names))


def _text_problem(value: Any) -> str:
    if value is None:
        return "missing text"
    if not isinstance(value, str):
        return f"{type(value).__name__} instead of text"
    return "" if value.strip() else "empty text"


def _parse_text(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    problem = _text_problem(row["text"])
    return Problem("text", problem) if problem else Conversation(completion=row["text"])


def _parse_pair(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    if isinstance(row["prompt"], list | tuple):
        return _parse_pair_of_chats(row, answered)
    for column in ("prompt", "completion")[: 2 if answered else 1]:
        problem = _text_problem(row[column])
        if problem:
            return Problem(column, problem)
    for column in ("system", "tools", "history"):
        if isinstance(row.get(column), str | list | tuple) and row[column]:
            return Problem(column, f"a plain prompt cannot use {column}")
    completion = row["completion"] if answered else ""
    return Conversation(prompt=row["prompt"], completion=completion)


def _parse_pair_of_chats(
    row: Mapping[str, Any], answered: bool
) -> Conversation | Problem:
    """Returns a chat from a prompt and a completion that are lists of messages."""
    asked = parse_turns(row["prompt"], ROLES, answered=False)
    if isinstance(asked, str):
        return Problem("prompt", asked)
    if not answered:
        return with_columns(row, "prompt", asked)
    said = parse_turns(row["completion"], ROLES, answered=True)
    if isinstance(said, str):
        return Problem("completion", said)
    unlearned = [
        turn._replace(fields=(*turn.fields, ("weight", 0))) if turn.learned else turn
        for turn in asked
    ]
    return with_columns(row, "prompt", (*unlearned, *said))


def _parse_alpaca(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    for column in ("instruction", "output")[: 2 if answered else 1]:
        problem = _text_problem(row[column])
        if problem:
            return Problem(column, problem)
    extra = row.get("input")
    if extra is not None and not isinstance(extra, str):
        return Problem("input", _text_problem(extra))
    earlier = () if row.get("history") is None else row["history"]
    if not isinstance(earlier, list | tuple) or not all(map(_is_pair, earlier)):
        return Problem("history", "not a list of pairs of question and answer")
    turns = [
        Turn(role, text)
        for pair in earlier
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    request = "\n".join(part for part in (row["instruction"], extra) if part)
    turns.append(Turn("user", request))
    if answered:
        turns.append(Turn("assistant", row["output"]))
    return with_columns(row, "instruction", tuple(turns), bare_tools=True)


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and not any(map(_text_problem, value))
    )


def _parse_messages(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    turns = parse_turns(row["messages"], ROLES, answered=answered)
    if isinstance(turns, str):
        return Problem("messages", turns)
    return with_columns(row, "messages", turns)


def _parse_sharegpt(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    turns = parse_turns(row["conversations"], SHAREGPT_ROLES, answered=answered)
    if isinstance(turns, str):
        return Problem("conversations", turns)
    return with_columns(row, "conversations", turns, bare_tools=True)


def row_texts(one: Conversation | Problem) -> tuple[str, ...]:
    """Returns every text of a row, or nothing for an unusable row.

    Values that are not plain text, such as tools, are returned as JSON.
    """
    if isinstance(one, Problem):
        return ()
    texts = []
    for turn in one.turns:
        texts.append(turn.content or "")
        texts += (_as_text(value) for _, value in turn.fields)
    texts += (one.prompt, one.completion)
    texts += (_as_text(value) for _, value in one.variables)
    return tuple(texts)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def rows_of(table: Table) -> Iterator[dict[str, Any]]:
    """Yields the rows of a table as dicts."""
    for values in zip(*table.columns.values(), strict=True):
        yield dict(zip(table.columns, values, strict=True))


# The columns that a format needs, and the function that reads a row of it.
FORMS: dict[
    str,
    tuple[tuple[str, ...], Callable[[Mapping[str, Any], bool], Conversation | Problem]],
] = {
    "messages": (("messages",), _parse_messages),
    "sharegpt": (("conversations",), _parse_sharegpt),
    "prompt_completion": (("prompt", "completion"), _parse_pair),
    "alpaca": (("instruction", "output"), _parse_alpaca),
    "text": (("text",), _parse_text),
}
