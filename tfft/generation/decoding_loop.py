"""Generation inside a graph, for exported models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfft.generation.choosing import Choices, choose, draw_keys
from tfft.generation.decoding_step import (
    cache_specs,
    decode_step,
    empty_caches,
    settled,
)
from tfft.models.wiring.wiring import Wiring


class Request(NamedTuple):
    """The options of each row, as in `Sampling`; of shape (batch,) or (batch, any).

    Attributes:
        max_new_tokens: int32.
        temperature: float32.
        top_k: int32.
        top_p: float32.
        repetition_penalty: float32.
        seed: int64.
        stop_tokens: Ids that end a row, int32; negative ones are ignored.
        stop: Strings that end a row and are not part of it; empty ones are ignored.
    """

    max_new_tokens: Any
    temperature: Any
    top_k: Any
    top_p: Any
    repetition_penalty: Any
    seed: Any
    stop_tokens: Any
    stop: Any


REQUEST_SPEC = Request(
    max_new_tokens=tf.TensorSpec((None,), tf.int32),
    temperature=tf.TensorSpec((None,), tf.float32),
    top_k=tf.TensorSpec((None,), tf.int32),
    top_p=tf.TensorSpec((None,), tf.float32),
    repetition_penalty=tf.TensorSpec((None,), tf.float32),
    seed=tf.TensorSpec((None,), tf.int64),
    stop_tokens=tf.TensorSpec((None, None), tf.int32),
    stop=tf.TensorSpec((None, None), tf.string),
)


class Generated(NamedTuple):
    """New tokens.

    Attributes:
        token_ids: Ragged int32, shape (batch, tokens), without the token that ended
            it.
        text: Their bytes up to the string that ended them, shape (batch,).
        ended: Whether a token or a string ended the row, shape (batch,).
    """

    token_ids: tf.RaggedTensor
    text: tf.Tensor
    ended: tf.Tensor


class _State(NamedTuple):
    """The state that the loop carries from one token to the next.

    Attributes:
        count: The number of tokens generated so far.
        tokens: The next input of the decoder: the prompts, then one token per row.
        seen: Prompts and new tokens, shape (batch, places); -1 where there is no token.
        text: The bytes of the new tokens, shape (batch,).
        length: The number of new tokens of each row, shape (batch,).
        ended: Whether a token or a string has ended the row, shape (batch,).
        caches: The caches of the decoder.
    """

    count: Any
    tokens: Any
    seen: Any
    text: Any
    length: Any
    ended: Any
    caches: Any


class DecodingLoop:
    """Generates text inside a graph, token by token as `Generator` does outside.

    Args:
        wiring: The decoder.
        ends: The tokens that end every text.
        filler: The id at places without a token.
        spelled: Returns the bytes of tokens, to find stop strings.
    """

    def __init__(
        self,
        wiring: Wiring,
        ends: Sequence[int],
        filler: int,
        spelled: Callable[[tf.Tensor], tf.Tensor],
    ) -> None:
        self.wiring, self.filler, self._spelled = wiring, filler, spelled
        self._ends = tf.constant(ends, tf.int32, (1, len(ends)))

    def __call__(self, prompts: tf.RaggedTensor, request: Request) -> Generated:
        """Returns the continuations of prompts.

        Args:
            prompts: Ids, shape (batch, tokens), at least one each.
            request: The options of each row.
        """
        rows = tf.cast(prompts.nrows(), tf.int32)
        ends = tf.repeat(self._ends, rows, axis=0)
        request = request._replace(
            stop_tokens=tf.concat([ends, request.stop_tokens], axis=1)
        )
        choices = Choices(
            request.temperature,
            request.top_k,
            request.top_p,
            request.repetition_penalty,
            draw_keys(request.seed, prompts),
        )
        sizes = tf.cast(prompts.row_lengths(), tf.int32)
        blanks = tf.reduce_max(sizes) - sizes
        start = _State(
            count=0,
            tokens=_to_the_right(prompts, self.filler),
            seen=_to_the_right(prompts, -1),
            text=tf.fill([rows], ""),
            length=tf.zeros_like(sizes),
            ended=tf.zeros([rows], tf.bool),
            caches=empty_caches(self.wiring, rows),
        )
        end = tf.while_loop(
            lambda *state: tf.reduce_any(_goes_on(_State(*state), request)),
            lambda *state: self._advance(_State(*state), request, choices, blanks),
            start,
            self._shapes(),
            parallel_iterations=1,
        )
        new = end.seen[:, tf.reduce_max(sizes) :]
        ids = tf.RaggedTensor.from_tensor(new, end.length)
        return Generated(ids, end.text, end.ended)

    def _advance(
        self, state: _State, request: Request, choices: Choices, blanks: Any
    ) -> _State:
        """Returns the state after one more token of each row that goes on."""
        logits, caches = decode_step(self.wiring, state.tokens, blanks, state.caches)
        chosen = choose(logits, state.seen, state.count, choices)
        goes_on = _goes_on(state, request)
        is_end = tf.reduce_any(chosen[:, None] == request.stop_tokens, axis=1)
        kept = goes_on & ~is_end
        longer = tf.strings.join([state.text, self._spelled(chosen)])
        text, stopped = before(tf.where(kept, longer, state.text), request.stop)
        return _State(
            count=state.count + 1,
            tokens=tf.where(kept, chosen, self.filler)[:, None],
            seen=tf.concat([state.seen, tf.where(kept, chosen, -1)[:, None]], axis=1),
            text=text,
            length=state.length + tf.cast(kept, tf.int32),
            ended=state.ended | (goes_on & is_end) | stopped,
            caches=settled(caches),
        )

    def _shapes(self) -> _State:
        """Returns the parts of the shapes that no iteration changes."""
        rows, places = tf.TensorShape([None]), tf.TensorShape([None, None])
        specs = cache_specs(self.wiring)
        caches = tf.nest.map_structure(lambda spec: spec.shape, specs)
        return _State(tf.TensorShape([]), places, places, rows, rows, rows, caches)


def _goes_on(state: _State, request: Request) -> Any:
    return ~state.ended & (state.length < request.max_new_tokens)


def _to_the_right(prompts: tf.RaggedTensor, filler: int) -> tf.Tensor:
    """Returns the prompts padded on the left, so that all end at the last place."""
    padded = prompts.to_tensor(filler)
    width = tf.shape(padded)[1]
    blanks = width - tf.cast(prompts.row_lengths(), tf.int32)
    places = tf.range(width)[None, :] - blanks[:, None]
    values = tf.gather(padded, tf.maximum(places, 0), batch_dims=1)
    return tf.where(places >= 0, values, filler)


def before(texts: tf.Tensor, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns texts up to their first stop string, and whether they have one.

    Args:
        texts: Shape (batch,).
        stop: The stop strings of each text, shape (batch, any); empty ones are
            ignored.
    """

    def one(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        text, string = given
        parts = tf.raw_ops.StringSplitV2(input=[text], sep=string, maxsplit=1).values
        # An empty text has no parts.
        return tf.cond(
            string == "", lambda: text, lambda: tf.concat([parts, [""]], 0)[0]
        )

    def cut() -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.shape(stop)[1]
        pairs = (tf.repeat(texts, count), tf.reshape(stop, [-1]))
        heads = tf.map_fn(one, pairs, fn_output_signature=tf.string)
        heads = tf.reshape(heads, tf.shape(stop))
        shortest = tf.argmin(tf.strings.length(heads), axis=1)
        head = tf.gather(heads, shortest, batch_dims=1)
        return head, tf.strings.length(head) < tf.strings.length(texts)

    uncut = (texts, tf.zeros_like(texts, tf.bool))
    return tf.cond(tf.reduce_any(stop != ""), cut, lambda: uncut)
