"""Answers to questions inside a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfft.tasks.answers.answering import TRIED
from tfft.tasks.endpoint import (
    TEXTS,
    Endpoint,
    Endpoints,
    InGraph,
    Served,
    as_text,
    called,
    characters_of,
    ids_of,
    parts_of,
)

# White space as `str.strip` defines it; all of it is in the first 65,536 codes.
_BLANKS = [code for code in range(0x10000) if chr(code).isspace()]


@dataclass(frozen=True)
class ServedAnswers(Served):
    """The served half of question answering.

    Attributes:
        stride: Tokens that a window shares with the previous one.
        max_question: Maximum number of tokens of a question.
        max_answer: Maximum number of tokens of an answer.
        n_best: Number of candidates to return.
        threshold: How much higher than the best answer "no answer" must score to be
            chosen. None if it is not a possible answer.
    """

    stride: int
    max_question: int
    max_answer: int
    n_best: int
    threshold: float | None

    def endpoints(self, network: Any, tokenizer: InGraph) -> Endpoints:
        """Returns signatures for answers, and for the logits of their ends."""
        names = list(ids_of(network))

        def from_text(question: Any, context: Any) -> dict[str, Any]:
            question = _cut(tokenizer, question, self.max_question)
            windows = tokenizer.windows(question, context, stride=self.stride)
            logits = called(network, windows.batch)
            rows = tf.size(question)
            silence = tf.math.unsorted_segment_min(
                tf.reduce_sum(logits[:, 0], axis=-1), windows.rows, rows
            )
            parts = _trimmed(_parts(logits, windows, self.max_answer), context)
            parts = _ranked(parts, rows)
            return _answer(
                characters_of(context), parts, silence, self.n_best, self.threshold
            )

        def from_ids(*given: Any) -> dict[str, Any]:
            logits = network(dict(zip(names, given, strict=True)))
            return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}

        texts = {"question": TEXTS, "context": TEXTS}
        return {
            "serving_default": Endpoint(texts, from_text),
            "serving_tensors": Endpoint(ids_of(network), from_ids),
        }

    def read(self, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the answer of each row with its candidates."""
        return [_read_row(outputs, row) for row in range(len(outputs["start"]))]


def _cut(tokenizer: InGraph, question: Any, most: int) -> Any:
    """Truncates questions to a number of tokens, like `cut_questions`."""
    characters, ends = characters_of(question), tokenizer.pieces(question).ends
    whole = tf.cast(characters.row_lengths(), tf.int32)
    last = tf.reduce_max(ends[:, :most], axis=1)
    kept = tf.where(ends.row_lengths() > most, tf.cast(last, tf.int32), whole)
    first = tf.RaggedTensor.from_tensor(tf.zeros_like(kept)[:, None])
    return parts_of(characters, first, first.with_flat_values(kept)).flat_values


class _Parts(NamedTuple):
    """Parts of contexts: row, first character, end and score, each (parts,)."""

    rows: Any
    starts: Any
    ends: Any
    scores: Any


def _parts(logits: Any, windows: Any, max_answer: int) -> _Parts:
    """Returns the most likely parts of all windows, like `best_answers`."""
    held = windows.tokens
    inside = tf.ragged.range(held.row_lengths()) + windows.offsets[:, None]
    window = held.value_rowids()
    at = tf.stack([window, inside.flat_values], axis=-1)
    ends_of_answers = tf.gather_nd(logits, at)
    width = tf.maximum(tf.reduce_max(tf.concat([held.row_lengths(), [0]], 0)), TRIED)
    places = []
    for end in range(2):
        value = held.with_flat_values(ends_of_answers[:, end])
        padded = value.to_tensor(-np.inf, shape=[None, None])
        padded = tf.pad(
            padded,
            [[0, 0], [0, width - tf.shape(padded, tf.int64)[1]]],
            constant_values=-np.inf,
        )
        places.append(tf.math.top_k(padded, TRIED))
    (first_score, first), (last_score, last) = places
    scores = first_score[:, :, None] + last_score[:, None]
    start, end = first[:, :, None], last[:, None]
    fits = (start <= end) & (end < start + max_answer) & (scores > -np.inf)
    found = tf.where(fits)
    start_token = tf.gather_nd(first, found[:, :2])
    end_token = tf.gather_nd(last, tf.gather(found, [0, 2], axis=1))
    base = tf.gather(held.row_starts(), found[:, 0])
    tokens = held.flat_values
    start_token = tf.gather(tokens, base + tf.cast(start_token, tf.int64))
    end_token = tf.gather(tokens, base + tf.cast(end_token, tf.int64))
    return _Parts(
        tf.gather(tf.cast(windows.rows, tf.int64), found[:, 0]),
        tf.cast(tf.gather(windows.pieces.starts.flat_values, start_token), tf.int64),
        tf.cast(tf.gather(windows.pieces.ends.flat_values, end_token), tf.int64),
        tf.gather_nd(scores, found),
    )


def _trimmed(parts: _Parts, contexts: Any) -> _Parts:
    """Strips white space from the ends of parts, and drops parts that become empty."""
    characters = tf.strings.unicode_decode(contexts, "UTF-8", errors="replace")
    blank = tf.reduce_any(characters.flat_values[:, None] == _BLANKS, axis=1)
    solid = tf.where(~blank)[:, 0]
    first = tf.gather(characters.row_starts(), parts.rows)
    # The first place at or after the start, and the last one before the end.
    after = tf.searchsorted(solid, first + parts.starts)
    before = tf.searchsorted(solid, first + parts.ends)
    size = tf.size(blank, tf.int64)
    starts = tf.gather(tf.concat([solid, [size]], axis=0), after) - first
    ends = tf.gather(tf.concat([[-1], solid], axis=0), before) + 1 - first
    full = tf.where(starts < ends)[:, 0]
    trimmed = parts._replace(starts=starts, ends=ends)
    return _Parts(*(tf.gather(one, full) for one in trimmed))


def _ranked(parts: _Parts, rows: Any) -> _Parts:
    """Returns each part once, ragged by row, the highest score first.

    Among equal scores, the first part in the text comes first.
    """
    size = tf.reduce_max(tf.concat([parts.ends, [0]], axis=0)) + 1
    key = (parts.rows * size + parts.starts) * size + parts.ends
    keys, index = tf.unique(key)
    scores = tf.math.unsorted_segment_max(parts.scores, index, tf.size(keys))
    # Sorted by place, then by score, then by row: the last sort decides first.
    at = tf.argsort(keys, stable=True)
    keys, scores = tf.gather(keys, at), tf.gather(scores, at)
    at = tf.argsort(-scores, stable=True)
    keys, scores = tf.gather(keys, at), tf.gather(scores, at)
    at = tf.argsort(keys // (size * size), stable=True)
    keys, scores = tf.gather(keys, at), tf.gather(scores, at)
    of_row = keys // (size * size)
    ragged = tf.RaggedTensor.from_value_rowids(scores, of_row, tf.cast(rows, tf.int64))
    return _Parts(
        of_row,
        ragged.with_flat_values(keys // size % size),
        ragged.with_flat_values(keys % size),
        ragged,
    )


def _answer(
    characters: Any, parts: _Parts, silence: Any, most: int, threshold: float | None
) -> dict[str, Any]:
    """Returns the answer of each row, and its candidates."""
    _, starts, ends, scores = (
        one if index == 0 else one[:, :most] for index, one in enumerate(parts)
    )
    starts, ends = (_filled(one, most, -1) for one in (starts, ends))
    values = _filled(scores, most, -np.inf)
    is_empty = scores.row_lengths() == 0
    may_be_silent = is_empty
    if threshold is not None:
        lead = silence - tf.where(is_empty, -1e9, values[:, 0])
        may_be_silent |= lead > threshold
        is_choice = tf.ones_like(is_empty)
    else:
        is_choice = is_empty
    none = tf.where(is_choice, silence, -np.inf)
    p = tf.nn.softmax(tf.concat([values, none[:, None]], axis=-1))
    shown = tf.RaggedTensor.from_tensor(tf.maximum(starts, 0))
    texts = parts_of(
        characters, shown, tf.RaggedTensor.from_tensor(tf.maximum(ends, 0))
    )
    texts = tf.reshape(texts.flat_values, tf.shape(starts))
    nowhere = tf.constant(-1, tf.int64)
    start = tf.where(may_be_silent, nowhere, starts[:, 0])
    end = tf.where(may_be_silent, nowhere, ends[:, 0])
    return {
        "answer": tf.where(may_be_silent, "", texts[:, 0]),
        "score": tf.where(may_be_silent, p[:, -1], p[:, 0]),
        "start": tf.cast(start, tf.int32),
        "end": tf.cast(end, tf.int32),
        "candidates": texts,
        "candidate_score": p[:, :-1],
        "candidate_start": tf.cast(starts, tf.int32),
        "candidate_end": tf.cast(ends, tf.int32),
    }


def _filled(ragged: Any, width: int, value: float) -> Any:
    """Returns a tensor with the given number of columns, padded."""
    return ragged.to_tensor(tf.cast(value, ragged.dtype), shape=[None, width])


def _read_row(outputs: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Returns the answer of a row in the form of `answer_of`."""
    start = outputs["start"][row]
    candidates = zip(
        outputs["candidates"][row],
        outputs["candidate_score"][row],
        outputs["candidate_start"][row],
        outputs["candidate_end"][row],
        strict=True,
    )
    return {
        "answer": as_text(outputs["answer"][row]),
        "score": float(outputs["score"][row]),
        "start": int(start) if start >= 0 else None,
        "end": int(outputs["end"][row]) if start >= 0 else None,
        "candidates": [
            {"text": as_text(text), "score": float(p), "start": int(a), "end": int(b)}
            for text, p, a, b in candidates
            if a >= 0
        ],
    }
