"""Turns conversations into ids, and marks the ids to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tfft.core.errors import DataError
from tfft.data.conversations import Conversation, Turn
from tfft.tasks.language.marks import is_joined, learned_tokens, trailing
from tfft.tasks.language.written import Written, write_rows
from tfft.text.language_ids import (
    TextIds,
    end_ids,
    special_tokens,
    spelled_special_tokens,
    start_ids,
    text_ids,
)
from tfft.text.tokenizer import Tokenizer

# More tokens than a template writes around a short answer.
_LONGEST = 2**20


@dataclass(frozen=True)
class Learnable:
    """A row as ids.

    Attributes:
        token_ids: The ids, at most `max_length`.
        learned: Whether each id is learned.
        cut: Whether the row was truncated.
        problem: Why the row is unusable; empty for a usable row.
        ends: The tokens that end its answers.
        joined: Whether the prompt alone has other ids than at the beginning of the
            row, usually because one token contains the end of the prompt and the
            beginning of the answer.
        spells: Whether its plain text spells a special token.
    """

    token_ids: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)
    cut: bool = False
    problem: str = ""
    ends: tuple[int, ...] = ()
    joined: bool = False
    spells: bool = False


def encode_conversations(
    conversations: Sequence[Conversation],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    train_on_prompt: bool = False,
    split_special_tokens: bool = False,
    answered: bool = True,
) -> list[Learnable]:
    """Returns the ids of conversations.

    A row is tokenized as one text, as in transformers and TRL. The characters of a
    token then tell whether it is learned; a token with the end of a prompt and the
    beginning of its answer is learned. A plain text, and an answer to a plain prompt,
    ends with the end-of-text token.

    Args:
        conversations: The conversations.
        tokenizer: The model's tokenizer, with its chat template.
        max_length: Maximum number of ids; longer rows are truncated.
        train_on_prompt: Whether to learn prompts too.
        split_special_tokens: Whether to split plain text that spells a special token
            into letters. Text written by a chat template is never split.
        answered: Whether the rows have answers. Without answers, the ids end where the
            model continues, and nothing is learned.
    """
    written = write_rows(conversations, tokenizer, answered=answered)
    encoder = _Encoder(tokenizer, split_special_tokens, answered)
    rows = encoder.rows(written)
    if train_on_prompt:
        rows = [
            _all_learned(row, one) for row, one in zip(rows, conversations, strict=True)
        ]
    return [_limited(row, max_length, answered) for row in rows]


def template_ends(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Returns the tokens that end an answer in the chat template."""
    chat = Conversation(turns=(Turn("user", "a"), Turn("assistant", "b")))
    try:
        [one] = encode_conversations([chat], tokenizer, max_length=_LONGEST)
    except DataError:  # an unusable template has no end tokens
        return ()
    return one.ends


class _Encoder:
    """Turns the texts of rows into ids, many at a time."""

    def __init__(
        self, tokenizer: Tokenizer, split_special_tokens: bool, answered: bool
    ) -> None:
        self._tokenizer, self._split = tokenizer, split_special_tokens
        self._answered = answered
        self._start = start_ids(tokenizer)
        self._end = end_ids(tokenizer) if answered else []
        self._special = {*special_tokens(tokenizer).values(), *self._end}
        self._spelled = spelled_special_tokens(tokenizer)

    def rows(self, written: Sequence[Written]) -> list[Learnable]:
        encoded = self._ids(written, [one.text for one in written])
        # The text that a generation would continue.
        prompts = [one.text[: one.spans[0][0]] if one.spans else "" for one in written]
        alone = self._ids(written, prompts) if self._answered else encoded
        rows = []
        for one, ids, prompt in zip(written, encoded, alone, strict=True):
            row = self._chat(one, ids) if one.templated else self._text(one, ids)
            size = len(prompt.token_ids)
            other = not one.marked and ids.token_ids[:size] != prompt.token_ids
            joined = other or any(is_joined(ids, start) for start, _ in one.spans)
            rows.append(replace(row, joined=self._answered and joined))
        return rows

    def _ids(self, written: Sequence[Written], texts: Sequence[str]) -> list[TextIds]:
        """Returns the ids of a text per row; its kind decides about special tokens."""
        split = [self._split and not one.templated for one in written]
        found: dict[int, TextIds] = {}
        for kind in set(split):
            places = [place for place, one in enumerate(split) if one is kind]
            ids = text_ids(
                self._tokenizer,
                [texts[place] for place in places],
                split_special_tokens=kind,
            )
            found.update(zip(places, ids, strict=True))
        return [found[place] for place in range(len(written))]

    def _text(self, one: Written, ids: TextIds) -> Learnable:
        start, end = self._start, self._end
        if not self._split:  # the text itself may contain them
            start = [] if ids.token_ids[: len(start)] == start else start
            end = [] if end and ids.token_ids[-len(end) :] == end else end
        places = trailing(one.text, ids, one.spans[0], self._special)
        marks = learned_tokens(ids, one.spans)
        return Learnable(
            [*start, *ids.token_ids, *end],
            [False] * len(start) + marks + [True] * len(end),
            ends=tuple(ids.token_ids[place] for place in places) + tuple(end),
            spells=bool(self._spelled.search(one.text)),
        )

    def _chat(self, one: Written, ids: TextIds) -> Learnable:
        marks = learned_tokens(ids, one.spans)
        ends: list[int] = []
        for span in one.spans:
            places = trailing(one.text, ids, span, self._special)
            if places and not one.marked:
                # What a template puts after the end of a turn, such as a line break,
                # no generation ever comes to.
                for place in range(places[-1] + 1, len(marks)):
                    marks[place] &= ids.offsets[place][0] >= span[1]
            if one.marked and not places:
                places = _next(ids, span[1], self._special)
            ends.extend(ids.token_ids[place] for place in places)
        return Learnable(ids.token_ids, marks, problem=one.problem, ends=tuple(ends))


def _next(ids: TextIds, border: int, special: set[int]) -> list[int]:
    """Returns the index of the token after a border, if it is a special token."""
    after = (place for place, (first, _) in enumerate(ids.offsets) if first >= border)
    place = next(after, None)
    return [place] if place is not None and ids.token_ids[place] in special else []


def _all_learned(row: Learnable, conversation: Conversation) -> Learnable:
    """Returns a row in which the prompts are learned too."""
    answers = [turn for turn in conversation.turns if turn.role == "assistant"]
    if not row.problem and not all(turn.learned for turn in answers):
        problem = "weight 0, and train_on_prompt learns everything"
        return replace(row, problem=problem)
    return replace(row, learned=[True] * len(row.learned))


def _limited(row: Learnable, max_length: int, answered: bool) -> Learnable:
    """Returns a truncated row, or a row with the reason why it is unusable."""
    if row.problem or not answered:
        return replace(row, learned=[False] * len(row.token_ids), ends=())
    token_ids, kept = row.token_ids[:max_length], row.learned[:max_length]
    cut = len(row.token_ids) > max_length
    problem = ""
    if not any(kept[1:]):
        problem = f"nothing to learn in its first {max_length} tokens"
    return replace(
        row,
        token_ids=token_ids,
        learned=kept,
        cut=cut,
        problem=problem,
        ends=tuple(end for end in row.ends if end in token_ids),
    )
