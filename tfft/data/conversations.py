"""Rows for language models in the forms people keep them, made one form."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tfft.core.errors import ConfigError, one_of, shorten
from tfft.data.table import Table

_ROLES = ("system", "user", "assistant", "tool")
_SHAREGPT = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "tool": "tool",
}


class Turn(NamedTuple):
    """One message of a conversation.

    Attributes:
        role: `system`, `user`, `assistant` or `tool`.
        content: What was said.
    """

    role: str
    content: str


class Conversation(NamedTuple):
    """A row in its one form.

    Attributes:
        turns: The messages; none for plain text.
        prompt: Plain text that an answer follows, or empty.
        completion: The answer, or the whole of a plain text.
    """

    turns: tuple[Turn, ...] = ()
    prompt: str = ""
    completion: str = ""


class Problem(NamedTuple):
    """Why a row is no conversation.

    Attributes:
        column: The column at fault.
        reason: What is wrong with it.
    """

    column: str
    reason: str


def detect(table: Table) -> str:
    """Returns the name of the form whose columns a table has.

    Raises:
        ConfigError: For a table with the columns of none, or of several.

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
        + (f" are of several forms: {', '.join(found)}" if found else ""),
        where=table.source,
        expected=one_of(known),
        fix="say which with task.format"
        if found
        else "rename the columns, or say with task.template how to make a prompt",
    )


def parse(
    row: Mapping[str, Any], form: str, *, answered: bool = True
) -> Conversation | Problem:
    """Returns a row as a conversation, or what is wrong with it.

    Args:
        row: Values by column name.
        form: A key of `FORMS`.
        answered: Whether an answer must be there; without, a row that asks for
            one is whole.

    >>> parse({"prompt": "2+2=", "completion": "4"}, "prompt_completion")
    Conversation(turns=(), prompt='2+2=', completion='4')
    """
    columns, parser = FORMS[form]
    for column in columns[: None if answered else 1]:
        if row.get(column) is None:
            return Problem(column, f"{column} is missing")
    return parser(row, answered)


def parse_template(
    row: Mapping[str, Any], template: str, target: str, *, answered: bool = True
) -> Conversation | Problem:
    """Returns the conversation that a template makes of plain columns.

    Args:
        row: Values by column name.
        template: The prompt, with column names in braces.
        target: The column with the answer.
        answered: Whether an answer must be there.

    >>> row = {"source": "cat", "target": "Katze"}
    >>> parse_template(row, "German for {source}: ", "target")
    Conversation(turns=(), prompt='German for cat: ', completion='Katze')
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
    """Returns each row of a table as `parse` does."""
    return [parse(row, form, answered=answered) for row in rows_of(table)]


def parse_templated(
    table: Table, template: str, target: str, *, answered: bool = True
) -> list[Conversation | Problem]:
    """Returns each row of a table as `parse_template` does.

    Raises:
        DataError: For a column that the table does not have.
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
            expected="column names in braces, {{ and }} for braces themselves",
            fix="close every brace",
        ) from error
    names = [name for _, name, _, _ in fields if name is not None]
    odd = [one for one in fields if one[2] or one[3]]
    if odd or not names or not all(name.isidentifier() for name in names):
        raise ConfigError(
            f"template {shorten(template)}",
            expected="one column name or more in braces, as in {source}",
            fix="write names alone between the braces",
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
    for column in ("prompt", "completion")[: 2 if answered else 1]:
        problem = _text_problem(row[column])
        if problem:
            return Problem(column, problem)
    completion = row["completion"] if answered else ""
    return Conversation(prompt=row["prompt"], completion=completion)


def _parse_alpaca(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    for column in ("instruction", "output")[: 2 if answered else 1]:
        problem = _text_problem(row[column])
        if problem:
            return Problem(column, problem)
    extra = row.get("input")
    if extra is not None and not isinstance(extra, str):
        return Problem("input", _text_problem(extra))
    request = "\n".join(part for part in (row["instruction"], extra) if part)
    turns = [Turn("user", request)]
    if answered:
        turns.append(Turn("assistant", row["output"]))
    return Conversation(turns=tuple(turns))


def _parse_messages(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    names = {role: role for role in _ROLES}
    return _parse_turns(row, "messages", "role", "content", names, answered)


def _parse_sharegpt(row: Mapping[str, Any], answered: bool) -> Conversation | Problem:
    return _parse_turns(row, "conversations", "from", "value", _SHAREGPT, answered)


def _parse_turns(
    row: Mapping[str, Any],
    column: str,
    role_key: str,
    content_key: str,
    roles: Mapping[str, str],
    answered: bool,
) -> Conversation | Problem:
    messages = row[column]
    if not isinstance(messages, list | tuple) or not messages:
        return Problem(column, "no list of messages")
    turns = []
    for number, message in enumerate(messages, start=1):
        reason = _message_problem(message, role_key, content_key, roles)
        if reason:
            return Problem(column, f"message {number}: {reason}")
        turns.append(Turn(roles[message[role_key]], message[content_key]))
    if answered and all(turn.role != "assistant" for turn in turns):
        return Problem(column, "no message of an assistant")
    return Conversation(turns=tuple(turns))


def _message_problem(
    message: Any, role_key: str, content_key: str, roles: Mapping[str, str]
) -> str:
    if not isinstance(message, Mapping):
        return f"{type(message).__name__} instead of a message"
    for key in (role_key, content_key):
        if key not in message:
            return f"field {key} is missing"
        if not isinstance(message[key], str):
            return f"{key} is {type(message[key]).__name__} instead of text"
    if message[role_key] not in roles:
        return f"unknown role {shorten(message[role_key])}, not {' or '.join(roles)}"
    return "" if message[content_key].strip() else "empty content"


def said_in(one: Conversation | Problem) -> tuple[str, ...]:
    """Returns every text of a row; none of one that cannot be used."""
    if isinstance(one, Problem):
        return ()
    return (*(turn.content for turn in one.turns), one.prompt, one.completion)


def rows_of(table: Table) -> Iterator[dict[str, Any]]:
    """Yields the rows of a table as dicts."""
    for values in zip(*table.columns.values(), strict=True):
        yield dict(zip(table.columns, values, strict=True))


# The columns a form must have, and what reads a row of it.
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
