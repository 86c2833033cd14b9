"""The signatures of exported models that generate text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfft.generation.decoding_loop import REQUEST_SPEC, DecodingLoop, Generated, Request
from tfft.generation.sampling import Sampling
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
from tfft.text.language_ids import special_tokens, start_ids

# Limits that keep a server within its memory.
MOST_NEW_TOKENS = 4096
_TRIED_NEW_TOKENS = 8
_SAMPLE: dict[str, Spec] = {
    name: (tuple(spec.shape), spec.dtype.name)
    for name, spec in REQUEST_SPEC._asdict().items()
}
# Existing clients send exactly these inputs to `generate`.
_GENERATE = [n for n in _SAMPLE if n not in ("top_k", "repetition_penalty")]


@dataclass(frozen=True)
class ServedGeneration(Served):
    """The served half of a task that generates.

    Attributes:
        split_special_tokens: Whether special tokens that plain prompts spell are split
            into letters. Those written by a chat template never are.
    """

    warm_up_texts = ("warm up",)

    split_special_tokens: bool

    def endpoints(self, network: Any, tokenizer: InGraph) -> Endpoints:
        """Returns signatures that generate from texts, chats and ids.

        The network's `generation` says where texts end.
        """
        outside, model = tokenizer.outside, network.generation or GenerationConfig()
        own = [] if outside.eos_id is None else [outside.eos_id]
        ends = [*own, *model.eos_token_ids]
        loop = DecodingLoop(network.wiring, ends, outside.pad_id, tokenizer.spelled)
        # A function of its own, so that all signatures share one trace of the decoder.
        traced = tf.function(
            loop,
            autograph=False,
            input_signature=[tf.RaggedTensorSpec((None, None), tf.int32), REQUEST_SPEC],
        )
        limit = network.wiring.position_limit

        def generated(prompts: Any, request: Request) -> Generated:
            strings = tf.constant(
                model.stop_strings, tf.string, (1, len(model.stop_strings))
            )
            every = tf.repeat(strings, tf.cast(prompts.nrows(), tf.int32), axis=0)
            request = request._replace(stop=tf.concat([every, request.stop], axis=1))
            return traced(_checked(prompts, request, limit), request)

        def text_ids(prompt: Any) -> Any:
            ids = tokenizer.ids(prompt, split_special_tokens=self.split_special_tokens)
            return begun(
                ids, start_ids(outside), may_have=not self.split_special_tokens
            )

        def chat_ids(prompt: Any) -> Any:
            return tokenizer.ids(prompt, split_special_tokens=False)

        def texts(ids: Callable[[Any], Any], names: Iterable[str]) -> Endpoint:
            def compute(prompt: Any, *given: Any) -> dict[str, Any]:
                prompts = ids(prompt)
                options = dict(zip(names, given, strict=True))
                return _completed(generated(prompts, _request(prompts, limit, options)))

            return Endpoint(
                {"prompt": TEXTS, **{n: _SAMPLE[n] for n in names}}, compute
            )

        def from_ids(token_ids: Any, padding_mask: Any) -> dict[str, Any]:
            prompts = tf.ragged.boolean_mask(token_ids, padding_mask > 0)
            ids = generated(prompts, _request(prompts, limit, {})).token_ids
            return {
                "token_ids": ids.to_tensor(outside.pad_id),
                "length": tf.cast(ids.row_lengths(), tf.int32),
            }

        ids = dict.fromkeys(("token_ids", "padding_mask"), ((None, None), "int32"))
        return {
            "serving_default": texts(text_ids, ()),
            "generate": texts(text_ids, _GENERATE),
            "generate_chat": texts(chat_ids, _GENERATE),
            "sample": texts(text_ids, _SAMPLE),
            "sample_chat": texts(chat_ids, _SAMPLE),
            "serving_tensors": Endpoint(ids, from_ids),
        }

    def tryout(self, predictor: Any, rows: Sequence[tuple[str, ...]]) -> Tryout:
        """Returns prompts that leave room, and the texts that the run generates."""
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
    """Returns the outputs of the signatures that return text."""
    text = tf.strings.unicode_transcode(found.text, "UTF-8", "UTF-8", errors="replace")
    return {
        "completion": text,
        "finish": tf.where(found.ended, "stop", "length"),
        "length": tf.cast(found.token_ids.row_lengths(), tf.int32),
    }


def begun(ids: Any, start: Sequence[int], *, may_have: bool) -> Any:
    """Returns ids that begin with the start tokens.

    Args:
        ids: Ragged, shape (batch, tokens).
        start: The tokens that begin every text.
        may_have: Whether texts may already begin with them; they are not repeated
            then.
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


def _request(prompts: Any, limit: int | None, given: Mapping[str, Any]) -> Request:
    """Returns the options of each row: the given ones, and the defaults of a run.

    By default a row writes as many tokens as `Sampling` says and as there is room for.
    """
    sizes = tf.cast(prompts.row_lengths(), tf.int32)
    plain = Sampling()
    most = tf.fill(tf.shape(sizes), plain.max_new_tokens)
    if limit is not None:
        most = tf.maximum(tf.minimum(most, limit - sizes), 1)
    request = {"max_new_tokens": most}
    for name in ("temperature", "top_k", "top_p", "repetition_penalty", "seed"):
        value = tf.constant(getattr(plain, name), _SAMPLE[name][1])
        request[name] = tf.fill(tf.shape(sizes), value)
    for name in ("stop_tokens", "stop"):
        request[name] = tf.zeros([tf.size(sizes), 0], _SAMPLE[name][1])
    return Request(**{**request, **given})


def _checked(prompts: Any, request: Request, limit: int | None) -> Any:
    """Returns the prompts; invalid ones or options fail before any computation."""
    sizes = tf.cast(prompts.row_lengths(), tf.int32)
    most, penalty = request.max_new_tokens, request.repetition_penalty
    rules = [
        (sizes > 0, "a prompt has no tokens"),
        (most > 0, "max_new_tokens is less than 1"),
        (most <= MOST_NEW_TOKENS, f"max_new_tokens is more than {MOST_NEW_TOKENS}"),
        (request.temperature >= 0, "temperature is less than 0, or not a number"),
        (request.top_k >= 0, "top_k is less than 0"),
        (
            (request.top_p > 0) & (request.top_p <= 1),
            "top_p is not above 0 and up to 1",
        ),
        (
            (penalty > 0) & (penalty <= 100),
            "repetition_penalty is not above 0 and up to 100",
        ),
    ]
    if limit is not None:
        fits = sizes + most <= limit
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
