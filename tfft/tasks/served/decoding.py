"""The loop that generates inside a graph, its keys and values kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfft.compute.attention import attend
from tfft.models.wiring.dropout import Dropouts
from tfft.models.wiring.packed_mask import up_to_itself
from tfft.models.wiring.wiring import Wiring


class Choices(NamedTuple):
    """How each row goes on and where it ends; of shape (batch,) or (batch, any).

    Attributes:
        most: The most new tokens, int32.
        temperature: Divides the logits; 0 takes the likeliest token, float32.
        top_p: Draws from the fewest likeliest tokens that reach it, float32.
        seed: For the draws, int64.
        stop_tokens: Ids that end a row; negative ones are none, int32.
        stop: Strings that end it, and are not part of it; empty ones are none.
    """

    most: tf.Tensor
    temperature: tf.Tensor
    top_p: tf.Tensor
    seed: tf.Tensor
    stop_tokens: tf.Tensor
    stop: tf.Tensor


class Generated(NamedTuple):
    """New tokens.

    Attributes:
        token_ids: Ragged int32, shape (batch, tokens), without one that ended it.
        text: Their bytes up to a string that ended them, shape (batch,).
        ended: Whether a token or a string ended the row, shape (batch,).
    """

    token_ids: tf.RaggedTensor
    text: tf.Tensor
    ended: tf.Tensor


class DecodingLoop:
    """Generation by a decoder, as `tfft.generation` does it outside.

    Args:
        wiring: The decoder.
        ends: The tokens that end any text.
        filler: The id at places without a token.
        spelled: Returns the bytes of tokens, for the strings that end a text.
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

    def __call__(self, prompts: tf.RaggedTensor, choices: Choices) -> Generated:
        """Returns what comes after prompts.

        Args:
            prompts: Ids, shape (batch, tokens), one at least in each.
            choices: How each row goes on.
        """
        rows = tf.cast(prompts.nrows(), tf.int32)
        sizes = tf.cast(prompts.row_lengths(), tf.int32)
        width, most = tf.reduce_max(sizes), tf.reduce_max(choices.most)
        blanks = width - sizes
        tokens = _to_the_right(prompts, self.filler)
        caches = self._empty(rows, width + most)
        logits, caches = self._step(tokens, 0, blanks, caches)
        filler = tf.fill([most, rows], self.filler)
        no_text = tf.fill([rows], "")
        state = (0, filler, no_text, tf.zeros_like(sizes), tf.zeros([rows], tf.bool))
        # Every row has the model's ends, and its own.
        ends = tf.concat(
            [tf.repeat(self._ends, rows, axis=0), choices.stop_tokens], axis=1
        )

        def goes_on(
            step: Any, new: Any, text: Any, count: Any, ended: Any, *rest: Any
        ) -> Any:
            return tf.reduce_any(~ended & (count < choices.most))

        def body(
            step: Any,
            new: Any,
            text: Any,
            count: Any,
            ended: Any,
            logits: Any,
            caches: Any,
        ) -> Any:
            chosen = choose(logits, step, choices)
            going = ~ended & (count < choices.most)
            is_end = tf.reduce_any(chosen[:, None] == ends, axis=1)
            kept = going & ~is_end
            longer = tf.strings.join([text, self._spelled(chosen)])
            text, stopped = before(tf.where(kept, longer, text), choices.stop)
            chosen = tf.where(kept, chosen, self.filler)
            new = tf.tensor_scatter_nd_update(new, [[step]], chosen[None])
            # After the last token nothing is asked, but the loop has one shape.
            logits, caches = self._step(chosen[:, None], width + step, blanks, caches)
            count += tf.cast(kept, tf.int32)
            ended |= (going & is_end) | stopped
            return step + 1, new, text, count, ended, logits, caches

        _, new, text, count, ended, _, _ = tf.while_loop(
            goes_on, body, (*state, logits, caches), parallel_iterations=1
        )
        ids = tf.RaggedTensor.from_tensor(tf.transpose(new), count)
        return Generated(ids, text, ended)

    def _empty(self, rows: Any, capacity: Any) -> list[tuple[Any, Any]]:
        # Places first: so a step writes one slice.
        shape = (capacity, rows, *self.wiring.key_shape)
        dtype = self.wiring.backbone.compute_dtype
        return [(tf.zeros(shape, dtype), tf.zeros(shape, dtype)) for _ in self._blocks]

    @property
    def _blocks(self) -> list[Any]:
        return self.wiring.blocks

    def _step(
        self, token_ids: Any, start: Any, blanks: Any, caches: Any
    ) -> tuple[Any, list[tuple[Any, Any]]]:
        """Returns the logits after the last of some tokens, and what is kept then."""
        places = start + tf.range(tf.shape(token_ids)[1])
        positions = tf.maximum(places[None, :] - blanks[:, None], 0)
        if self.wiring.position_limit is not None:
            # Rows that have ended are computed on beside those that have not.
            positions = tf.minimum(positions, self.wiring.position_limit - 1)
        keys = tf.range(tf.shape(caches[0][0])[0])
        seen = up_to_itself(places, keys, self.wiring.window)
        mask = seen[None] & (keys[None, :] >= blanks[:, None])[:, None]
        x = self.wiring.embed(token_ids, positions)
        kept = []
        for block, cache in zip(self._blocks, caches, strict=True):
            attend = _Attend(cache, places, mask)
            x = self.wiring.block(block, x, positions, attend, Dropouts({}))
            kept.append(attend.cache)
        states = self.wiring.finish(x[:, -1:])[:, 0]
        matrix = tf.cast(tf.convert_to_tensor(self.wiring.matrix.value), states.dtype)
        logits = tf.matmul(states, matrix, transpose_b=self.wiring.is_tied)
        return tf.cast(logits, tf.float32), kept


class _Attend:
    """Attention over all that is kept, after keeping what is new."""

    def __init__(self, cache: tuple[Any, Any], places: Any, mask: Any) -> None:
        self.cache, self.places, self.mask = cache, places, mask

    def __call__(self, query: Any, key: Any, value: Any, _: Any) -> Any:
        self.cache = tuple(
            tf.tensor_scatter_nd_update(
                kept, self.places[:, None], tf.transpose(new, (1, 0, 2, 3))
            )
            for kept, new in zip(self.cache, (key, value), strict=True)
        )
        keys, values = (tf.transpose(kept, (1, 0, 2, 3)) for kept in self.cache)
        return attend(query, keys, values, self.mask)


def _to_the_right(prompts: tf.RaggedTensor, filler: int) -> tf.Tensor:
    """Returns prompts that all end at the last place."""
    padded = prompts.to_tensor(filler)
    width = tf.shape(padded)[1]
    blanks = width - tf.cast(prompts.row_lengths(), tf.int32)
    places = tf.range(width)[None, :] - blanks[:, None]
    values = tf.gather(padded, tf.maximum(places, 0), batch_dims=1)
    return tf.where(places >= 0, values, filler)


def before(texts: tf.Tensor, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns texts up to the first string that ends them, and whether one does.

    Args:
        texts: Shape (batch,).
        stop: The strings of each text, shape (batch, any); empty ones are none.
    """

    def one(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        text, string = given
        parts = tf.raw_ops.StringSplitV2(input=[text], sep=string, maxsplit=1).values
        # Of an empty text there is no part.
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


def choose(logits: tf.Tensor, step: tf.Tensor, choices: Choices) -> tf.Tensor:
    """Returns the next token of each row, int32 of shape (batch,).

    A row's draws depend on its seed alone, and not on what else is in the batch.

    Args:
        logits: Shape (batch, vocabulary).
        step: How many tokens came before.
        choices: How each row goes on.
    """
    likeliest = tf.argmax(logits, axis=-1, output_type=tf.int32)
    draws = choices.temperature > 0

    def drawn() -> tf.Tensor:
        scaled = logits / tf.where(draws, choices.temperature, 1.0)[:, None]
        shares = tf.nn.softmax(scaled)
        kept = tf.where(_nucleus(shares, choices.top_p), shares, 0.0)
        # In the order of the ids: that of the shares changes with their last bits,
        # which depend on the batch.
        ends = tf.cumsum(kept, axis=-1)
        step_seed = tf.cast(step, tf.int64) + 0 * choices.seed
        seeds = tf.stack([choices.seed, step_seed], axis=-1)
        luck = tf.map_fn(
            lambda seed: tf.random.stateless_uniform([], seed),
            seeds,
            fn_output_signature=tf.float32,
        )
        place = tf.searchsorted(ends, luck[:, None] * ends[:, -1:], side="right")[:, 0]
        ids = tf.range(tf.shape(logits)[1])
        last = tf.reduce_max(tf.where(kept > 0, ids, 0), axis=-1)
        return tf.where(draws, tf.minimum(place, last), likeliest)

    return tf.cond(tf.reduce_any(draws), drawn, lambda: likeliest)


def _nucleus(shares: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Returns which tokens are the likeliest that together reach p.

    The token that reaches it is one, as is the likeliest whatever p is.

    Args:
        shares: Probabilities, shape (batch, vocabulary).
        top_p: p of each row, shape (batch,).
    """
    falling, order = tf.math.top_k(shares, tf.shape(shares)[1])
    kept = (tf.cumsum(falling, axis=-1) - falling) < top_p[:, None]
    rows = tf.broadcast_to(tf.range(tf.shape(order)[0])[:, None], tf.shape(order))
    return tf.scatter_nd(tf.stack([rows, order], axis=-1), kept, tf.shape(kept))
