"""Generated texts inside a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfft.models.generation_config import GenerationConfig
from tfft.tasks.endpoint import (
    TEXTS,
    Endpoint,
    Endpoints,
    InGraph,
    Served,
    Spec,
    Tryout,
    as_texts,
)
from tfft.tasks.served.decoding import Choices, DecodingLoop, Generated
from tfft.text.language_ids import special_tokens, start_ids

# Of what a request may ask: a server has memory for so many.
MOST_NEW_TOKENS = 4096
_PLAIN_NEW_TOKENS = 128  # those of `Sampling`
_TRIED_NEW_TOKENS = 8
# The inputs beside a prompt, in the order of `Choices`.
_OPTIONS: dict[str, Spec] = {
    "max_new_tokens": ((None,), "int32"),
    "temperature": ((None,), "float32"),
    "top_p": ((None,), "float32"),
    "seed": ((None,), "int64"),
    "stop_tokens": ((None, None), "int32"),
    "stop": ((None, None), "string"),
}


@dataclass(frozen=True)
class ServedGeneration(Served):
    """The served half of a task that generates.

    Attributes:
        split_special_tokens: Whether plain prompts that spell special tokens are split
            into letters. What a chat template wrote never is.
    """

    warm_up_texts = ("warm up",)

    split_special_tokens: bool

    def endpoints(self, network: Any, tokenizer: InGraph) -> Endpoints:
        """Returns signatures that generate from texts, chats and ids.

        The network's `generation` says where texts end.
        """
        outside, model = tokenizer.outside, network.generation or GenerationConfig()
        own = [] if outside.eos_id is None else [outside.eos_id]
        loop = DecodingLoop(
            network.wiring,
            [*own, *model.eos_token_ids],
            outside.pad_id,
            tokenizer.spelled,
        )
        limit = network.wiring.position_limit

        def generated(prompts: Any, choices: Choices) -> Any:
            strings = tf.constant(
                model.stop_strings, tf.string, (1, len(model.stop_strings))
            )
            every = tf.repeat(strings, tf.cast(prompts.nrows(), tf.int32), axis=0)
            choices = choices._replace(stop=tf.concat([every, choices.stop], axis=1))
            return loop(_checked(prompts, choices, limit), choices)

        def text_ids(prompt: Any) -> Any:
            ids = tokenizer.ids(prompt, split_special_tokens=self.split_special_tokens)
            return begun(
                ids, start_ids(outside), may_have=not self.split_special_tokens
            )

        def greedy(prompt: Any) -> dict[str, Any]:
            prompts = text_ids(prompt)
            return _completed(generated(prompts, _greedy(prompts, limit)))

        def generate(prompt: Any, *given: Any) -> dict[str, Any]:
            return _completed(generated(text_ids(prompt), Choices(*given)))

        def generate_chat(prompt: Any, *given: Any) -> dict[str, Any]:
            prompts = tokenizer.ids(prompt, split_special_tokens=False)
            return _completed(generated(prompts, Choices(*given)))

        def from_ids(token_ids: Any, padding_mask: Any) -> dict[str, Any]:
            prompts = tf.ragged.boolean_mask(token_ids, padding_mask > 0)
            found = generated(prompts, _greedy(prompts, limit))
            ids = found.token_ids
            return {
                "token_ids": ids.to_tensor(outside.pad_id),
                "length": tf.cast(ids.row_lengths(), tf.int32),
            }

        ids = dict.fromkeys(("token_ids", "padding_mask"), ((None, None), "int32"))
        return {
            "serving_default": Endpoint({"prompt": TEXTS}, greedy),
            "generate": Endpoint({"prompt": TEXTS, **_OPTIONS}, generate),
            "generate_chat": Endpoint({"prompt": TEXTS, **_OPTIONS}, generate_chat),
            "serving_tensors": Endpoint(ids, from_ids),
        }

    def tryout(self, predictor: Any, rows: Sequence[tuple[str, ...]]) -> Tryout:
        """Returns prompts that have tokens and room, and what follows them."""
        prompts = [text for text, *_ in rows]
        tokenizer = predictor.built.pretrained.tokenizer
        library = tokenizer.library
        if not self.split_special_tokens:
            names = [*special_tokens(tokenizer)][:3]
            prompts = [
                *prompts,
                " a".join(names) + "b",
                "".join(reversed(names)) + " c\n",
            ]
        limit = predictor.model.wiring.position_limit or MOST_NEW_TOKENS
        kept = [
            text
            for text, one in zip(
                prompts, library.encode_batch(list(prompts)), strict=True
            )
            if text and 0 < len(one.ids) <= limit - _TRIED_NEW_TOKENS
        ]
        found = predictor.generate(kept, max_new_tokens=_TRIED_NEW_TOKENS)
        return Tryout(
            "generate",
            [(text,) for text in kept],
            [{"completion": one.text, "finish": one.finish} for one in found],
            {
                "max_new_tokens": _TRIED_NEW_TOKENS,
                "temperature": 0.0,
                "top_p": 1.0,
                "seed": 0,
                "stop_tokens": [-1],
                "stop": [""],
            },
        )

    def read(self, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns `completion` and `finish` of each row."""
        pairs = zip(
            as_texts(outputs["completion"]), as_texts(outputs["finish"]), strict=True
        )
        return [{"completion": text, "finish": finish} for text, finish in pairs]


def _completed(found: Generated) -> dict[str, Any]:
    """Returns the answers of the endpoints that give text."""
    text = tf.strings.unicode_transcode(found.text, "UTF-8", "UTF-8", errors="replace")
    return {
        "completion": text,
        "finish": tf.where(found.ended, "stop", "length"),
        "length": tf.cast(found.token_ids.row_lengths(), tf.int32),
    }


def begun(ids: Any, start: Sequence[int], *, may_have: bool) -> Any:
    """Returns ids with those that begin every text before them.

    Args:
        ids: Ragged, shape (batch, tokens).
        start: What begins a text.
        may_have: Whether a text may begin with it already; then it does so once.
    """
    before = tf.repeat(tf.constant([start], tf.int32, (1, len(start))), ids.nrows(), 0)
    if may_have and start:
        first = ids[:, : len(start)].to_tensor(-1, shape=(None, len(start)))
        there = tf.reduce_all(first == before, axis=1)
        rest = tf.ragged.boolean_mask(
            tf.RaggedTensor.from_tensor(before),
            ~tf.repeat(there[:, None], len(start), 1),
        )
        return tf.concat([rest, ids], axis=1)
    return tf.concat([tf.RaggedTensor.from_tensor(before), ids], axis=1)


def _greedy(prompts: Any, limit: int | None) -> Choices:
    """Returns the likeliest tokens, as many as are usual and there is room for."""
    sizes = tf.cast(prompts.row_lengths(), tf.int32)
    most = tf.fill(tf.shape(sizes), _PLAIN_NEW_TOKENS)
    if limit is not None:
        most = tf.maximum(tf.minimum(most, limit - sizes), 1)
    zeros = tf.zeros_like(sizes)
    none = [tf.size(sizes), 0]
    return Choices(
        most,
        tf.cast(zeros, tf.float32),
        tf.ones(tf.shape(sizes)),
        tf.cast(zeros, tf.int64),
        tf.zeros(none, tf.int32),
        tf.fill(none, ""),
    )


def _checked(prompts: Any, choices: Choices, limit: int | None) -> Any:
    """Returns the prompts; what cannot be meant fails before anything is computed."""
    sizes = tf.cast(prompts.row_lengths(), tf.int32)
    rules = [
        (sizes > 0, "a prompt has no tokens"),
        (choices.most > 0, "max_new_tokens is less than 1"),
        (
            choices.most <= MOST_NEW_TOKENS,
            f"max_new_tokens is more than {MOST_NEW_TOKENS}",
        ),
        (choices.temperature >= 0, "temperature is less than 0, or no number"),
        (
            (choices.top_p > 0) & (choices.top_p <= 1),
            "top_p is not above 0 and up to 1",
        ),
    ]
    if limit is not None:
        fits = sizes + choices.most <= limit
        rules.append(
            (fits, f"prompt and max_new_tokens are more than {limit} tokens together")
        )
    checks = [
        tf.debugging.Assert(tf.reduce_all(holds), [message]) for holds, message in rules
    ]
    with tf.control_dependencies(checks):
        return tf.RaggedTensor.from_row_splits(
            tf.identity(prompts.flat_values),
            tf.identity(prompts.row_splits),
            validate=False,
        )
