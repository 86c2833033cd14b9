"""Text after a batch of prompts of any lengths, as a stream or at once."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from tfft.core.errors import DataError, nearest
from tfft.generation.sampling import Sampling
from tfft.generation.text import GrowingText
from tfft.text.language_ids import decode
from tfft.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Generation:
    """The text generated after a prompt.

    Attributes:
        text: The text, without the stop string that ended it.
        token_ids: Its tokens, without the stop token that ended it.
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
    """The next part of a text, yielded as soon as it can no longer change.

    Attributes:
        row: The number of the prompt, from 0.
        text: The part.
    """

    row: int
    text: str


class Generator:
    """Generates text after a batch of prompts; iterate over it to stream the text.

    Args:
        backbone: A KerasHub decoder.
        tokenizer: Its tokenizer.
        prompts: The ids of each prompt; a prompt has at least one.
        sampling: How to choose tokens, and where to end.
        first: The number of the first prompt among all prompts.
        seeds: The seed of each prompt. Defaults to `prompt_seeds` of the prompts.

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
        seeds: Sequence[int] | None = None,
    ) -> None:
        from tfft.models.wiring.wiring import wiring_of

        self.backbone, self.sampling, self.first = backbone, sampling, first
        limit = wiring_of(backbone).position_limit
        _check_lengths(prompts, sampling.max_new_tokens, limit, first)
        self.prompts = [np.array(prompt, "int32") for prompt in prompts]
        self.seeds = prompt_seeds(prompts, sampling.seed) if seeds is None else seeds
        self.ends = _ends(tokenizer, sampling)
        self.filler = tokenizer.pad_id
        text_of = functools.partial(decode, tokenizer)
        self.texts = [GrowingText(text_of, sampling.stop) for _ in self.prompts]
        self.finish: list[Any] = [None] * len(prompts)

    def __iter__(self) -> Iterator[Piece]:
        """Yields pieces of text until every row has ended."""
        from tfft.generation.cache import CachedDecoder, next_tokens

        if None not in self.finish:
            return
        rows, width = len(self.prompts), max(map(len, self.prompts))
        blanks = np.array([width - len(prompt) for prompt in self.prompts])
        seen = np.full((rows, width + self.sampling.max_new_tokens), -1, "int32")
        for row, prompt in enumerate(self.prompts):
            seen[row, blanks[row] : width] = prompt
        decoder = CachedDecoder(self.backbone, blanks)
        choices = self._choices()
        tokens = np.where(seen[:, :width] < 0, self.filler, seen[:, :width])
        for end in range(width, seen.shape[1]):
            logits = decoder(tokens)
            chosen = next_tokens(logits, seen[:, :end], end - width, choices)
            tokens = np.full((rows, 1), self.filler, "int32")
            for row in range(rows):
                if self.finish[row] is None:
                    seen[row, end] = tokens[row, 0] = chosen[row]
                    yield from self._advance(row, int(chosen[row]))
            if None not in self.finish:
                return

    def _choices(self) -> Any:
        import tensorflow as tf

        from tfft.generation.choosing import Choices, draw_keys

        def same(value: float, dtype: Any) -> Any:
            return tf.fill([len(self.prompts)], tf.constant(value, dtype))

        sampling = self.sampling
        prompts = tf.RaggedTensor.from_row_lengths(
            np.concatenate(self.prompts), [len(prompt) for prompt in self.prompts]
        )
        return Choices(
            temperature=same(sampling.temperature, tf.float32),
            top_k=same(min(sampling.top_k, tf.int32.max), tf.int32),
            top_p=same(sampling.top_p, tf.float32),
            repetition_penalty=same(sampling.repetition_penalty, tf.float32),
            key=draw_keys(tf.constant(self.seeds, tf.int64), prompts),
        )

    def _advance(self, row: int, token: int) -> Iterator[Piece]:
        """Appends a token to a row and yields the text that is now certain."""
        text, piece = self.texts[row], ""
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

    def run(self) -> list[Generation]:
        """Generates to the end and returns the results."""
        for _ in self:
            pass
        return [
            Generation(text.text, tuple(text.token_ids), finish)
            for text, finish in zip(self.texts, self.finish, strict=True)
        ]


def prompt_seeds(prompts: Sequence[Sequence[int]], seed: int) -> list[int]:
    """Returns the seed of each prompt, one higher each time a prompt is repeated.

    >>> prompt_seeds([[5], [6], [5]], 7)
    [7, 7, 8]
    """
    times: Counter[tuple[int, ...]] = Counter()
    seeds = []
    for prompt in map(tuple, prompts):
        seeds.append(seed + times[prompt])
        times[prompt] += 1
    return seeds


def _ends(tokenizer: Tokenizer, sampling: Sampling) -> set[int]:
    library = tokenizer.library
    ends = set() if tokenizer.eos_id is None else {tokenizer.eos_id}
    for token in sampling.stop_tokens:
        found = token if isinstance(token, int) else library.token_to_id(token)
        # Ids may have gaps, so the vocabulary's size is no upper bound.
        is_id = found is not None and 0 <= found < 2**31
        if not is_id or library.id_to_token(found) is None:
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
                expected="at least one",
                fix="give it some text",
            )
        if limit is not None and len(prompt) + new > limit:
            raise DataError(
                f"prompt {number} has {len(prompt):,} tokens",
                where=f"max_new_tokens={new}",
                expected=f"at most {limit:,} tokens together, the model's limit",
                fix="shorten it, or lower max_new_tokens",
            )
