"""Conversations as ids, with a mark on those that are learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfft.data.batching import Examples
from tfft.data.conversations import Conversation
from tfft.data.packing import best_fit_decreasing, pack
from tfft.data.turns import texts_in
from tfft.models.chat_template import ChatTemplate, Rendered
from tfft.models.language_ids import (
    plain_ids,
    special_tokens,
    start_ids,
    template_ids,
)
from tfft.models.tokenizer import Tokenizer

# For models that were never taught a chat: the headings of Alpaca's prompts.
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

# Examples are filled up to a multiple, and full enough with such a share of tokens.
_STEP, _ENOUGH = 16, 0.95


@dataclass(frozen=True)
class Learnable:
    """A row as ids.

    Attributes:
        token_ids: The ids, at most `max_length`.
        learned: Whether each is to be predicted.
        cut: Whether ids were cut off.
        problem: Why the row cannot be used; empty when it can.
    """

    token_ids: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)
    cut: bool = False
    problem: str = ""


def encode_conversations(
    conversations: Sequence[Conversation],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    train_on_prompt: bool = False,
    answered: bool = True,
) -> list[Learnable]:
    """Returns the ids of conversations.

    Prompts and answers are turned into ids apart: a generation, too, begins with
    the ids of the prompt alone. A text, and an answer to a plain prompt, ends with
    the token that ends texts.

    Args:
        conversations: In their one form.
        tokenizer: The model's, with its chat template.
        max_length: The most ids; what is beyond is cut off.
        train_on_prompt: Whether to learn prompts too.
        answered: Whether answers are there; without, the ids end where the model
            goes on, and nothing is learned.
    """
    chats = [index for index, one in enumerate(conversations) if one.turns]
    template = tokenizer.chat_template or plain_template(tokenizer)
    rendered = dict(
        zip(chats, _render(conversations, chats, template, answered), strict=True)
    )
    special = special_tokens(tokenizer)
    results = []
    for index, conversation in enumerate(conversations):
        if index in rendered:
            chat, problem = rendered[index]
            problem = _spelled(conversation, special) or problem
            ids, learned = _chat_ids(chat, tokenizer, set(special.values()))
            if train_on_prompt and _has_unlearned(conversation):
                problem = problem or "weight 0, and train_on_prompt learns everything"
        else:
            problem = ""
            ids, learned = _plain_ids(conversation, tokenizer, answered)
        if train_on_prompt:
            learned = [True] * len(ids)
        results.append(_checked(ids, learned, max_length, problem, answered))
    return results


def plain_template(tokenizer: Tokenizer) -> ChatTemplate:
    """Returns the template for a model that has none of its own."""
    end = tokenizer.roles.get("eos", "")
    return ChatTemplate(PLAIN_TEMPLATE, (("eos_token", end),), "tfft's plain template")


def _render(
    conversations: Sequence[Conversation],
    chats: Sequence[int],
    template: ChatTemplate,
    answered: bool,
) -> list[tuple[Rendered, str]]:
    if not chats:
        return []
    messages = [
        [turn.message for turn in conversations[index].turns] for index in chats
    ]
    variables = [dict(conversations[index].variables) for index in chats]
    return [
        (
            one,
            f"the chat template refuses it: {one.problem}" * bool(one.problem),
        )
        for one in template.render(messages, answered=answered, variables=variables)
    ]


def _spelled(conversation: Conversation, special: Mapping[str, int]) -> str:
    """Returns which special token a message spells, whose end it could forge."""
    for number, turn in enumerate(conversation.turns, start=1):
        for token in special:
            if any(token in text for text in turn.texts):
                return f"message {number} spells the special token {token}"
    for text in texts_in(dict(conversation.variables)):
        for token in special:
            if token in text:
                return f"its tools spell the special token {token}"
    return ""


def _has_unlearned(conversation: Conversation) -> bool:
    answers = [turn for turn in conversation.turns if turn.role == "assistant"]
    return not all(turn.learned for turn in answers)


def _chat_ids(
    chat: Rendered, tokenizer: Tokenizer, special: set[int]
) -> tuple[list[int], list[bool]]:
    ids: list[int] = []
    learned: list[bool] = []
    parts = template_ids(tokenizer, [text for text, _ in chat.segments])
    for part, (_, said) in zip(parts, chat.segments, strict=True):
        ids.extend(part)
        marks = [said] * len(part)
        ends = [place for place, token in enumerate(part) if token in special]
        if said and ends and not chat.marked:
            # What a template puts after the end of a turn, such as a line break, no
            # generation ever comes to.
            marks[ends[-1] + 1 :] = [False] * (len(part) - ends[-1] - 1)
        learned.extend(marks)
    return ids, learned


def _plain_ids(
    conversation: Conversation, tokenizer: Tokenizer, answered: bool
) -> tuple[list[int], list[bool]]:
    texts = [conversation.prompt, conversation.completion]
    prompt, completion = plain_ids(tokenizer, texts)
    start = start_ids(tokenizer)
    end = [tokenizer.eos_id] if answered and tokenizer.eos_id is not None else []
    ids = [*start, *prompt, *completion, *end]
    before = len(start) + len(prompt)
    return ids, [False] * before + [True] * (len(ids) - before)


def _checked(
    ids: list[int], learned: list[bool], max_length: int, problem: str, answered: bool
) -> Learnable:
    if problem or not answered:
        return Learnable(ids, [False] * len(ids), problem=problem)
    kept = learned[:max_length]
    if not any(kept[1:]):
        problem = f"nothing to learn in its first {max_length} tokens"
    return Learnable(ids[:max_length], kept, len(ids) > max_length, problem)


def packed_examples(rows: Sequence[Learnable], pad: int, together_in: int) -> Examples:
    """Returns rows for batches, several in one example or each in its own.

    Args:
        rows: Without problems.
        pad: The id at padded places.
        together_in: The most tokens of an example of several rows; 0 for one row
            in each.
    """
    lengths = [len(row.token_ids) for row in rows]
    groups = [[index] for index in range(len(rows))]
    if together_in:
        groups = _filled(lengths, together_in)
    tokens, positions, sequences = pack([row.token_ids for row in rows], groups)
    places, labels = [], []
    for ids, starts, group in zip(tokens, positions, groups, strict=True):
        marks = [mark for index in group for mark in rows[index].learned]
        # The state of a token predicts the next; none predicts the first.
        at = [i for i, mark in enumerate(marks) if mark and starts[i]]
        places.append([i - 1 for i in at])
        labels.append([ids[i] for i in at])
    return Examples(
        sequences={
            "token_ids": tokens,
            "positions": positions,
            "sequence_ids": sequences,
            "label_positions": places,
            "labels": labels,
        },
        values={},
        padding={
            "token_ids": pad,
            "positions": 0,
            "sequence_ids": 0,
            "label_positions": 0,
            "labels": -1,
        },
        sources=groups,
    )


def sums_by_row(
    outputs: Sequence[np.ndarray], examples: Examples, rows: int
) -> np.ndarray:
    """Returns sums of losses, hits and labels of the rows that shared examples.

    Args:
        outputs: Of each example the loss and hit of its labels, padding after them.
        examples: What `packed_examples` made.
        rows: The number of rows.

    Returns:
        Shape (rows, 3), in float64.
    """
    sums = np.zeros((rows, 3))
    sequences = examples.sequences
    for index, values in enumerate(outputs):
        places = sequences["label_positions"][index]
        numbers = np.array(sequences["sequence_ids"][index])[places] - 1
        owners = np.array(examples.sources[index])[numbers]
        scores = np.ones((len(places), 3))
        scores[:, :2] = values[: len(places)]
        np.add.at(sums, owners, scores)
    return sums


def _filled(lengths: Sequence[int], max_length: int) -> list[list[int]]:
    """Returns which rows share an example, as short as leaves little padding.

    Attention compares every pair of tokens of an example, so that longer ones cost
    more; but when every row is a little longer than half of an example, half of it
    would be padding.
    """
    longest = max(lengths, default=0)
    best: list[list[int]] = []
    least = 0.0
    for times in (1, 2, 4):
        capacity = min(-(-longest * times // _STEP) * _STEP, max(max_length, longest))
        groups = best_fit_decreasing(lengths, capacity)
        share = sum(lengths) / max(1, len(groups) * capacity)
        if share > least:
            best, least = groups, share
        if share >= _ENOUGH:
            break
    return best
