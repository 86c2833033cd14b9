"""Columns that accompany the messages of a row, such as tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfft.data.turns import Conversation, Problem, Turn


def with_columns(
    row: Mapping[str, Any],
    column: str,
    turns: tuple[Turn, ...],
    *,
    bare_tools: bool = False,
) -> Conversation | Problem:
    """Returns the messages of a row together with the values of its other columns.

    Args:
        row: Values by column name.
        column: The column of the messages.
        turns: The messages.
        bare_tools: Whether tools may be plain functions, as in LLaMA-Factory.
    """
    system = row.get("system")
    if system is not None and not isinstance(system, str):
        return Problem("system", f"{type(system).__name__} instead of text")
    if system and turns[0].role != "system":
        turns = (Turn("system", system), *turns)
    elif system and turns[0].content != system:
        return Problem("system", f"differs from the first message of {column}")
    variables = _variables(row, bare_tools=bare_tools)
    if isinstance(variables, Problem):
        return variables
    return Conversation(turns=turns, variables=tuple(variables.items()))


def _variables(row: Mapping[str, Any], *, bare_tools: bool) -> dict[str, Any] | Problem:
    """Returns the contents of the columns `tools` and `chat_template_kwargs`."""
    tools = _tools(row.get("tools"), bare_tools)
    if isinstance(tools, str):
        return Problem("tools", tools)
    extra = row.get("chat_template_kwargs")
    extra = {} if extra is None else extra
    if not isinstance(extra, Mapping):
        wrong = f"{type(extra).__name__} instead of an object"
        return Problem("chat_template_kwargs", wrong)
    return {**({} if tools is None else {"tools": tools}), **extra}


def _tools(value: Any, bare: bool) -> list[Any] | str | None:
    """Returns the tools of a row, None if it has none, or a problem with them."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError as error:
            return f"not JSON: {error}"
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        return f"{type(value).__name__} instead of a list of tools"
    for number, tool in enumerate(value, start=1):
        if not isinstance(tool, Mapping):
            return f"tool {number} is {type(tool).__name__} instead of an object"
    if not bare:
        return list(value)
    # In LLaMA-Factory, an empty list means no tools.
    wrapped = [
        tool if "type" in tool else {"type": "function", "function": tool}
        for tool in value
    ]
    return wrapped or None
