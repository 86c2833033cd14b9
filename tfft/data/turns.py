"""The messages of a conversation, in the formats of TRL and LLaMA-Factory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tfft.core.errors import shorten

# Roles of `messages`, and of ShareGPT's `conversations`.
ROLES = {role: role for role in ("system", "user", "assistant", "tool")}
SHAREGPT_ROLES = {
    **ROLES,
    "human": "user",
    "gpt": "assistant",
    "function_call": "assistant",
    "observation": "tool",
}
_NAMES = {"from": "role", "value": "content"}
_REASONING = ("reasoning_content", "thinking", "reasoning")
# Keys of other libraries that select the tokens to learn, with tfft's key for each.
_ELSEWHERE = {"function_call": "tool_calls", "train": "weight"}


class Turn(NamedTuple):
    """One message of a conversation.

    Attributes:
        role: `system`, `user`, `assistant` or `tool`.
        content: The text; None if the message only has tool calls.
        fields: Other keys of the message, such as `tool_calls`.
    """

    role: str
    content: str | None
    fields: tuple[tuple[str, Any], ...] = ()

    @property
    def message(self) -> dict[str, Any]:
        """The message in the form that chat templates expect."""
        return {"role": self.role, "content": self.content, **dict(self.fields)}

    @property
    def learned(self) -> bool:
        """Whether the answer is learned; answers with `weight` 0 are not."""
        return self.role == "assistant" and dict(self.fields).get("weight", 1) != 0

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text in the message."""
        return (self.content or "", *texts_in(dict(self.fields)))


class Conversation(NamedTuple):
    """A row in the common form of all formats.

    Attributes:
        turns: The messages; empty for plain text.
        prompt: Plain text before the answer, or empty.
        completion: The answer, or all of a plain text.
        variables: Further values for the chat template, such as `tools`.
    """

    turns: tuple[Turn, ...] = ()
    prompt: str = ""
    completion: str = ""
    variables: tuple[tuple[str, Any], ...] = ()


class Problem(NamedTuple):
    """The reason why a row is not usable.

    Attributes:
        column: The column with the problem.
        reason: The problem.
    """

    column: str
    reason: str


def texts_in(value: Any) -> Iterator[str]:
    """Yields the texts in nested lists and mappings, including keys.

    >>> list(texts_in([{"name": "f", "arguments": {"x": 1, "y": "z"}}]))
    ['name', 'f', 'arguments', 'x', 'y', 'z']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from texts_in(pair)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def parse_turns(
    messages: Any, roles: Mapping[str, str], *, answered: bool
) -> tuple[Turn, ...] | str:
    """Returns the messages of a row, or the problem with them.

    Args:
        messages: A list of mappings, with the keys `role` and `content`, or `from`
            and `value`.
        roles: The role for each name.
        answered: Whether there must be an answer to learn.
    """
    if not isinstance(messages, list | tuple) or not messages:
        return "not a list of messages"
    turns = []
    for number, message in enumerate(messages, start=1):
        turn = _turn(message, roles)
        if isinstance(turn, str):
            return f"message {number}: {turn}"
        turns.append(turn)
    answers = [turn for turn in turns if turn.role == "assistant"]
    if answered and not answers:
        return "no message of an assistant"
    if answered and not any(turn.learned for turn in answers):
        return "every message of an assistant has weight 0"
    return tuple(turns)


def _turn(message: Any, roles: Mapping[str, str]) -> Turn | str:
    if not isinstance(message, Mapping):
        return f"{type(message).__name__} instead of a message"
    named = {_NAMES.get(key, key): value for key, value in message.items()}
    # Null counts as missing: Parquet gives each message every key.
    fields = {key: value for key, value in named.items() if value is not None}
    spelled = "from" if "from" in message or "value" in message else "role"
    if "role" not in named:
        return f"field {spelled} is missing"
    if not isinstance(named["role"], str):
        return f"{spelled} is {type(named['role']).__name__} instead of text"
    if named["role"] not in roles:
        return f"unknown role {shorten(named['role'])}, not {' or '.join(roles)}"
    role = roles[fields.pop("role")]
    if named["role"] == "function_call":
        calls = _calls(fields.pop("content", None))
        if isinstance(calls, str):
            return calls
        fields["tool_calls"] = calls
    problem = _fields_problem(role, fields) or _content_problem(role, named, fields)
    if problem:
        return problem
    return Turn(role, fields.pop("content", None), tuple(fields.items()))


def _calls(text: Any) -> list[Any] | str:
    """Returns the calls in a LLaMA-Factory message with the role `function_call`."""
    expected = "not a JSON object with name and arguments, nor a list of them"
    try:
        calls = json.loads(text)
    except (TypeError, ValueError):
        return expected
    calls = calls if isinstance(calls, list) else [calls]
    for call in calls:
        if not isinstance(call, dict) or not {"name", "arguments"} <= call.keys():
            return expected
    return [{"type": "function", "function": call} for call in calls] or expected


def _content_problem(
    role: str, named: Mapping[str, Any], fields: Mapping[str, Any]
) -> str:
    content = fields.get("content")
    if content is None:
        if fields.get("tool_calls"):
            return ""
        if "content" not in named:
            return "field content is missing"
        return "content is NoneType instead of text"
    if not isinstance(content, str):
        return f"content is {type(content).__name__} instead of text"
    may_be_empty = role == "tool" or fields.get("tool_calls")
    return "" if content.strip() or may_be_empty else "empty content"


def _fields_problem(role: str, fields: Mapping[str, Any]) -> str:
    for key, other in _ELSEWHERE.items():
        if key in fields:
            return f"{key} is not read; write {other} instead"
    for key in _REASONING:
        if not isinstance(fields.get(key, ""), str):
            return f"{key} is {type(fields[key]).__name__} instead of text"
    calls = fields.get("tool_calls", [])
    if not isinstance(calls, list | tuple):
        return f"tool_calls is {type(calls).__name__} instead of a list"
    if not all(isinstance(call, Mapping) for call in calls):
        return "tool_calls holds something other than objects"
    if calls and role != "assistant":
        return f"tool_calls with the role {role}, but only an assistant calls tools"
    weight = fields.get("weight", 0)
    if weight not in (0, 1):
        return f"weight is {shorten(weight)}, not 0 or 1"
    if weight and role != "assistant":
        return f"weight 1 with the role {role}, but only answers are learned"
    return ""
