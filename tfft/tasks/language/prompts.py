"""Turns user inputs of a language model into conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfft.core.errors import ConfigError, DataError, one_of, shorten
from tfft.data.conversations import Conversation, Problem, parse

# The column with the prompt, and the format it belongs to.
_ASKING = {
    "messages": "messages",
    "conversations": "sharegpt",
    "prompt": "prompt_completion",
    "instruction": "alpaca",
}


def read_prompts(
    inputs: Sequence[Any],
    parse_row: Callable[[Mapping[str, Any]], Conversation | Problem],
) -> list[Conversation]:
    """Converts texts, lists of messages or rows to conversations without answers.

    Args:
        inputs: The user's inputs.
        parse_row: Reads a row.

    Raises:
        DataError: For another input; names its number.
    """
    if isinstance(inputs, str) or not isinstance(inputs, Sequence):
        raise DataError(
            f"prompts are {shorten(inputs)}",
            expected="a list of texts, of lists of messages, or of rows",
            fix="put it into a list",
        )
    return [_prompt(value, number, parse_row) for number, value in enumerate(inputs, 1)]


def _prompt(value: Any, number: int, parse_row: Callable[[Any], Any]) -> Conversation:
    found: Conversation | Problem
    if isinstance(value, str):
        found = Conversation(prompt=value) if value else Problem("text", "empty text")
    elif isinstance(value, Mapping):
        found = parse_row(value)
    elif isinstance(value, Conversation):
        found = value
    else:
        found = parse({"messages": value}, "messages", answered=False)
    if isinstance(found, Problem):
        raise DataError(
            f"prompt {number}: {found.reason}",
            where=found.column,
            expected="a text, a list of messages with role and content, or a row",
            fix="correct it",
        )
    return found


def asked_form(row: Mapping[str, Any]) -> str:
    """Returns the format of a row; the answer may be missing.

    Raises:
        DataError: For a row without a prompt.

    >>> asked_form({"instruction": "Say hello."})
    'alpaca'
    """
    for column, form in _ASKING.items():
        if column in row:
            return form
    message = {"role", "content"} <= set(row)
    raise DataError(
        f"a row of {', '.join(map(str, row))} has no prompt",
        expected=one_of(_ASKING),
        fix="put the messages of each chat into a list of their own"
        if message
        else "give the text itself as the prompt",
    )


def without_answer(one: Conversation | Problem) -> tuple[Any, str]:
    """Returns the last question of a conversation as a prompt, and its answer.

    Raises:
        ConfigError: For a plain text, which has no question.

    >>> without_answer(Conversation(prompt="2+2=", completion="4"))
    ('2+2=', '4')
    """
    if isinstance(one, Conversation) and one.turns:
        said = [turn.role == "assistant" for turn in one.turns]
        last = len(said) - 1 - said[::-1].index(True)
        answer = one.turns[last].content
        if answer:
            return one._replace(turns=one.turns[:last]), answer
        raise ConfigError(
            "an answer with tool calls but no text",
            expected="an answer with text to compare with",
            fix="score other rows",
        )
    if isinstance(one, Conversation) and one.prompt:
        return one.prompt, one.completion
    raise ConfigError(
        "a row of plain text has no question to answer",
        expected="prompts with completions, or conversations",
        fix="score prompts with completions, or conversations",
    )
