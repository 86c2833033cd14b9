"""Columns that stand beside the messages of a row."""

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
    """Returns the messages of a row with what its other columns say.

    Args:
        row: Values by column name.
        column: The column of the messages.
        turns: The messages.
        bare_tools: Whether tools may be functions alone, as LLaMA-Factory has them.
    """
    system = row.get("system")
    if system is not None and not isinstance(system, str):
        return Problem("system", f"{type(system).__name__} instead of text")
    if system and turns[0].role != "system":
        turns = (Turn("system", system), *turns)
    elif system and turns[0].content != system:
        return Problem("system", f"another text than the first message of {column}")
    variables = _variables(row, bare_tools=bare_tools)
    if isinstance(variables, Problem):
        return variables
    return Conversation(turns=turns, variables=tuple(variables.items()))


def _variables(row: Mapping[str, Any], *, bare_tools: bool) -> dict[str, Any] | Problem:
    """Returns what the columns `tools` and `chat_template_kwargs` hold."""
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
    """Returns the tools of a row, None for none, or what is wrong with them."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError as error:
            return f"no JSON: {error}"
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        return f"{type(value).__name__} instead of a list of tools"
    for number, tool in enumerate(value, start=1):
        if not isinstance(tool, Mapping):
            return f"tool {number} is {type(tool).__name__} instead of an object"
    if not bare:
        return list(value)
    # LLaMA-Factory names no tools by an empty list.
    wrapped = [
        tool if "type" in tool else {"type": "function", "function": tool}
        for tool in value
    ]
    return wrapped or None
