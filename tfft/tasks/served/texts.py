"""Generated texts inside a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfft.models.language_ids import start_ids
from tfft.tasks.served.decoding import Choices, DecodingLoop
from tfft.tasks.served.endpoint import (
    TEXTS,
    Endpoint,
    Endpoints,
    InGraph,
    Tryout,
    as_texts,
)

# Of what a request may ask: a server has memory for so many.
MOST_NEW_TOKENS = 4096
_PLAIN_NEW_TOKENS = 128  # those of `Sampling`
_TRIED_NEW_TOKENS = 8


def endpoints(network: Any, tokenizer: InGraph) -> Endpoints:
    """Returns the endpoints of a `CausalLM`.

    Args:
        network: The network.
        tokenizer: The tokenizer in the graph.
    """
    outside = tokenizer.outside
    start = tf.constant([start_ids(outside)], tf.int32, (1, len(start_ids(outside))))
    loop = DecodingLoop(network.wiring, outside.eos_id, outside.pad_id)
    limit = network.wiring.position_limit

    def generated(prompts: Any, choices: Choices) -> Any:
        return loop(_checked(prompts, choices, limit), choices)

    def ids_of(prompt: Any) -> Any:
        ids = tokenizer.ids(prompt)
        before = tf.RaggedTensor.from_tensor(tf.repeat(start, ids.nrows(), axis=0))
        return tf.concat([before, ids], axis=1)

    def completed(prompts: Any, choices: Choices) -> dict[str, Any]:
        found = generated(prompts, choices)
        return {
            "completion": tokenizer.texts(found.token_ids),
            "finish": tf.where(found.ended, "stop", "length"),
            "length": tf.cast(found.token_ids.row_lengths(), tf.int32),
        }

    def greedy(prompt: Any) -> dict[str, Any]:
        prompts = ids_of(prompt)
        return completed(prompts, _greedy(prompts, limit))

    def generate(prompt: Any, *given: Any) -> dict[str, Any]:
        return completed(ids_of(prompt), Choices(*given))

    def from_ids(token_ids: Any, padding_mask: Any) -> dict[str, Any]:
        prompts = tf.ragged.boolean_mask(token_ids, padding_mask > 0)
        found = generated(prompts, _greedy(prompts, limit))
        ids = found.token_ids
        return {
            "token_ids": ids.to_tensor(outside.pad_id),
            "length": tf.cast(ids.row_lengths(), tf.int32),
        }

    options = {
        "max_new_tokens": ((None,), "int32"),
        "temperature": ((None,), "float32"),
        "top_p": ((None,), "float32"),
        "seed": ((None,), "int64"),
    }
    ids = dict.fromkeys(("token_ids", "padding_mask"), ((None, None), "int32"))
    return {
        "serving_default": Endpoint({"prompt": TEXTS}, greedy),
        "generate": Endpoint({"prompt": TEXTS, **options}, generate),
        "serving_tensors": Endpoint(ids, from_ids),
    }


def _greedy(prompts: Any, limit: int | None) -> Choices:
    """Returns the likeliest tokens, as many as are usual and there is room for."""
    sizes = tf.cast(prompts.row_lengths(), tf.int32)
    most = tf.fill(tf.shape(sizes), _PLAIN_NEW_TOKENS)
    if limit is not None:
        most = tf.maximum(tf.minimum(most, limit - sizes), 1)
    zeros = tf.zeros_like(sizes)
    return Choices(
        most,
        tf.cast(zeros, tf.float32),
        tf.ones(tf.shape(sizes)),
        tf.cast(zeros, tf.int64),
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


def tryout(run: Any, prompts: Sequence[str]) -> Tryout:
    """Returns prompts that have tokens and room, and what a run writes after them."""
    library = run.built.pretrained.tokenizer.library
    limit = run.model.wiring.position_limit or MOST_NEW_TOKENS
    kept = [
        text
        for text, one in zip(prompts, library.encode_batch(list(prompts)), strict=True)
        if text and 0 < len(one.ids) <= limit - _TRIED_NEW_TOKENS
    ]
    found = run.generate(kept, max_new_tokens=_TRIED_NEW_TOKENS)
    return Tryout(
        "generate",
        [(text,) for text in kept],
        [{"completion": one.text, "finish": one.finish} for one in found],
        {
            "max_new_tokens": _TRIED_NEW_TOKENS,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 0,
        },
    )


def read(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns text and finish of each row."""
    pairs = zip(
        as_texts(outputs["completion"]), as_texts(outputs["finish"]), strict=True
    )
    return [{"completion": text, "finish": finish} for text, finish in pairs]
