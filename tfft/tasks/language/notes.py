"""Notes for users on how their rows became ids."""

from __future__ import annotations

from collections.abc import Sequence

from tfft.tasks.language.encode import Learnable
from tfft.text.tokenizer import Tokenizer


def template_notes(tokenizer: Tokenizer) -> list[str]:
    """Returns notes on the chat template of a model."""
    template = tokenizer.chat_template
    if template is None:
        return ["the model has no chat template; chats get a plain one"]
    dated = "the chat template writes the date: chats have today's"
    return [dated] if template.dated else []


def notes_on(rows: Sequence[Learnable], *, split_special_tokens: bool) -> list[str]:
    """Returns notes on rows, one sentence with a count for each property.

    >>> notes_on([Learnable(ends=(1,), spells=True)], split_special_tokens=False)[0]
    '1 of 1 rows spell special tokens, which become those tokens: task.split_special_tokens=True reads them as text'
    """  # noqa: E501
    notes = []
    every = f"of {len(rows):,} rows"
    spelling = sum(row.spells for row in rows)
    if spelling:
        notes.append(
            f"{spelling:,} {every} spell special tokens, which "
            + (
                "are split into letters: task.split_special_tokens=False reads them "
                "as those tokens"
                if split_special_tokens
                else "become those tokens: task.split_special_tokens=True reads them "
                "as text"
            )
        )
    joined = sum(row.joined for row in rows)
    if joined:
        notes.append(
            f"{joined:,} {every} have a token that spans the end of the prompt and the "
            "start of the answer, or tokens before it that the prompt alone does not "
            "have: tfft learns such a token, but generation starts from other ids. "
            "End prompts at the end of a word, and begin answers with the space"
        )
    if rows and not any(row.ends for row in rows):
        notes.append(
            "no answer ends with a special token: generation continues to "
            "max_new_tokens, unless stop= ends it"
        )
    return notes
