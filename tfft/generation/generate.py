"""The loop that generates, for a batch of prompts of any lengths."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from tfft.core.errors import DataError, nearest
from tfft.core.seeds import stream
from tfft.generation.sampling import Sampling, choose
from tfft.generation.text import GrowingText
from tfft.text.language_ids import decode
from tfft.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Generation:
    """What was generated after a prompt.

    Attributes:
        text: The text, without what ended it.
        token_ids: Its tokens, without one that ended it.
        finish: `stop` when the model or a stop string ended it, `length` when
            `max_new_tokens` did.
    """

    text: str
    token_ids: tuple[int, ...]
    finish: Literal["stop", "length"]

    def __str__(self) -> str:
        """Returns the text."""
        return self.text


class Piece(NamedTuple):
    """A bit of text as soon as it is certain.

    Attributes:
        row: The number of the prompt, from 0.
        text: The bit.
    """

    row: int
    text: str


class Generator:
    """Generations after a batch of prompts; iterate to have them bit by bit.

    Args:
        backbone: A KerasHub decoder.
        tokenizer: Its tokenizer.
        prompts: The ids of each prompt, one at least.
        sampling: How to go on, and where to end.
        first: The number of the first prompt among all.

    Raises:
        DataError: For a prompt that leaves no room, or a stop token that the
            vocabulary does not have.
    """

    def __init__(
        self,
        backbone: Any,
        tokenizer: Tokenizer,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        first: int = 0,
    ) -> None:
        from tfft.models.wiring.wiring import wiring_of

        self.backbone, self.sampling, self.first = backbone, sampling, first
        limit = wiring_of(backbone).position_limit
        _check_lengths(prompts, sampling.max_new_tokens, limit, first)
        self.prompts = [np.array(prompt, "int32") for prompt in prompts]
        self.ends = _ends(tokenizer, sampling)
        self.filler = tokenizer.pad_id
        text_of = functools.partial(decode, tokenizer)
        self.texts = [GrowingText(text_of, sampling.stop) for _ in self.prompts]
        self.random = [
            stream(sampling.seed, "sampling", first + row)
            for row in range(len(prompts))
        ]
        self.finish: list[Any] = [None] * len(prompts)

    def __iter__(self) -> Iterator[Piece]:
        """Yields bits of text until every row has ended."""
        from tfft.generation.cache import CachedDecoder

        if not self.prompts:
            return
        width = max(map(len, self.prompts))
        blanks = np.array([width - len(prompt) for prompt in self.prompts])
        decoder = CachedDecoder(self.backbone, blanks)
        tokens = np.full((len(blanks), width), self.filler, "int32")
        for row, prompt in enumerate(self.prompts):
            tokens[row, blanks[row] :] = prompt
        while None in self.finish:
            logits = decoder(tokens)
            tokens = np.full((len(blanks), 1), self.filler, "int32")
            for row in range(len(blanks)):
                if self.finish[row] is None:
                    tokens[row, 0] = yield from self._advance(row, logits[row])

    def _advance(self, row: int, logits: np.ndarray) -> Iterator[Piece]:
        """Takes a row one token on and returns the token."""
        text = self.texts[row]
        seen = np.concatenate([self.prompts[row], np.array(text.token_ids, "int32")])
        token = choose(logits, seen, self.sampling, self.random[row])
        piece = ""
        if token in self.ends:
            self.finish[row] = "stop"
        else:
            piece = text.add(token)
            if text.stopped:
                self.finish[row] = "stop"
            elif len(text.token_ids) == self.sampling.max_new_tokens:
                self.finish[row] = "length"
        if self.finish[row]:
            piece += text.rest()
        if piece:
            yield Piece(self.first + row, piece)
        return token

    def run(self) -> list[Generation]:
        """Generates to the end and returns the results."""
        for _ in self:
            pass
        return [
            Generation(text.text, tuple(text.token_ids), finish)
            for text, finish in zip(self.texts, self.finish, strict=True)
        ]


def _ends(tokenizer: Tokenizer, sampling: Sampling) -> set[int]:
    library = tokenizer.library
    ends = set() if tokenizer.eos_id is None else {tokenizer.eos_id}
    for token in sampling.stop_tokens:
        found = token if isinstance(token, int) else library.token_to_id(token)
        # Ids may have gaps: their number says nothing of the largest.
        there = found is not None and 0 <= found < 2**31
        if not there or library.id_to_token(found) is None:
            raise DataError(
                f"the vocabulary has no token {token!r}",
                where="stop_tokens",
                fix=nearest(token, library.get_vocab())
                or "give a text with stop= instead",
            )
        ends.add(found)
    return ends


def _check_lengths(
    prompts: Sequence[Sequence[int]], new: int, limit: int | None, first: int
) -> None:
    for number, prompt in enumerate(prompts, start=first + 1):
        if not len(prompt):
            raise DataError(
                f"prompt {number} has no tokens",
                expected="one at least",
                fix="begin the text with something",
            )
        if limit is not None and len(prompt) + new > limit:
            raise DataError(
                f"prompt {number} has {len(prompt):,} tokens",
                where=f"max_new_tokens={new}",
                expected=f"at most {limit:,} tokens together, the model's limit",
                fix="shorten it, or lower max_new_tokens",
            )
