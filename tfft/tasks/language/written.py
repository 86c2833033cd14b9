"""Turns rows into the texts a language model reads, plain or by chat template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tfft.data.conversations import Conversation
from tfft.data.turns import texts_in
from tfft.tasks.language.marks import Span
from tfft.text.chat_template import ChatTemplate, Rendered
from tfft.text.language_ids import spelled_special_tokens
from tfft.text.tokenizer import Tokenizer

# For models without a chat template: the headings of Alpaca's prompts.
PLAIN_TEMPLATE = """\
{% set names = {"user": "Instruction", "assistant": "Response",
                "system": "System", "tool": "Tool"} -%}
{% for message in messages -%}
### {{ names[message.role] }}:
{{ message.content }}
{%- if message.role == "assistant" %}{{ eos_token }}{% endif %}


{% endfor -%}
{% if add_generation_prompt %}### Response:
{% endif %}"""


@dataclass(frozen=True)
class Written:
    """The complete text of a row.

    Attributes:
        text: Prompts and answers together.
        spans: The characters to learn.
        templated: Whether a chat template wrote it. Its special tokens are then tokens,
            and no tokens are added around it.
        marked: Whether the template itself marks the parts to learn.
        problem: Why the row is unusable; empty for a usable row.
    """

    text: str
    spans: tuple[Span, ...] = ()
    templated: bool = False
    marked: bool = False
    problem: str = ""


def write_rows(
    conversations: Sequence[Conversation], tokenizer: Tokenizer, *, answered: bool
) -> list[Written]:
    """Returns the text of each row.

    Args:
        conversations: The rows as conversations.
        tokenizer: The model's tokenizer, with its chat template.
        answered: Whether the rows have answers. Without answers, a text ends where the
            model continues.
    """
    chats = [one for one in conversations if one.turns]
    rendered = iter(_chats(chats, tokenizer, answered) if chats else [])
    return [next(rendered) if one.turns else _plain(one) for one in conversations]


def _plain(one: Conversation) -> Written:
    text = one.prompt + one.completion
    return Written(text, ((len(one.prompt), len(text)),))


def _chats(
    chats: Sequence[Conversation], tokenizer: Tokenizer, answered: bool
) -> list[Written]:
    template = tokenizer.chat_template or plain_template(tokenizer)
    rendered = template.render(
        [[turn.message for turn in one.turns] for one in chats],
        answered=answered,
        variables=[dict(one.variables) for one in chats],
    )
    special = spelled_special_tokens(tokenizer)
    return [
        _joined(one, _spelled(chat, special))
        for chat, one in zip(chats, rendered, strict=True)
    ]


def _joined(one: Rendered, problem: str) -> Written:
    """Returns the parts of a rendered conversation as one text."""
    if one.problem and not problem:
        problem = f"the chat template refuses it: {one.problem}"
    spans, place = [], 0
    for part, learned in one.segments:
        if learned:
            spans.append((place, place + len(part)))
        place += len(part)
    text = "".join(part for part, _ in one.segments)
    return Written(text, tuple(spans), True, one.marked, problem)


def _spelled(conversation: Conversation, special: re.Pattern[str]) -> str:
    """Returns the special token that a message spells and could forge an end with."""
    for number, turn in enumerate(conversation.turns, start=1):
        token = _found(special, turn.texts)
        if token:
            return f"message {number} spells the special token {token}"
    token = _found(special, texts_in(dict(conversation.variables)))
    return f"its tools spell the special token {token}" if token else ""


def _found(special: re.Pattern[str], texts: Iterable[str]) -> str:
    matches = (special.search(text) for text in texts)
    return next((match[0] for match in matches if match), "")


def plain_template(tokenizer: Tokenizer) -> ChatTemplate:
    """Returns the template for a model without its own."""
    end = tokenizer.roles.get("eos", "")
    return ChatTemplate(PLAIN_TEMPLATE, (("eos_token", end),), "tfft's plain template")
