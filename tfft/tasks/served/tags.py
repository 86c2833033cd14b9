"""Tags and spans of texts inside a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfft.tasks.served.endpoint import (
    TEXTS,
    Endpoint,
    Endpoints,
    InGraph,
    as_text,
    as_texts,
    called,
    characters_of,
    ids_of,
    parts_of,
)
from tfft.tasks.served.words import Words, places_of_words, words_in_graph
from tfft.tasks.tag_schemes import OUTSIDE, may_follow

Labels = tuple[Any, ...]


def endpoints(
    network: Any, tokenizer: InGraph, labels: Labels, *, stride: int, viterbi: bool
) -> Endpoints:
    """Returns the endpoints of a `TokenClassifier`.

    Args:
        network: The network.
        tokenizer: The tokenizer in the graph.
        labels: IOB2 tags by id, `B-` and `I-` of each type.
        stride: Tokens that a window shares with the one before.
        viterbi: Whether to take the likeliest legal tags, else the likeliest of each.
    """
    names = list(ids_of(network))

    def from_text(text: Any) -> dict[str, Any]:
        words = words_in_graph(text)
        windows = tokenizer.windows(text, stride=stride)
        logits = called(network, windows.batch)
        log_p = _log_probabilities(logits, *places_of_words(words, windows), labels)
        padded = words.starts.with_flat_values(tf.cast(log_p, tf.float64))
        best = likeliest_legal(padded, labels) if viterbi else tf.argmax(log_p, axis=-1)
        return _answer(text, words, best, tf.exp(log_p), labels)

    def from_ids(*given: Any) -> dict[str, Any]:
        logits = network(dict(zip(names, given, strict=True)))
        return {"probabilities": tf.nn.softmax(logits)}

    return {
        "serving_default": Endpoint({"text": TEXTS}, from_text),
        "serving_tensors": Endpoint(ids_of(network), from_ids),
    }


def _log_probabilities(
    logits: tf.Tensor, window: tf.Tensor, place: tf.Tensor, labels: Labels
) -> tf.Tensor:
    """Returns log p of each label for each word; a word without tokens is O."""
    hit = window >= 0
    at = tf.stack([tf.maximum(window, 0), place], axis=-1)
    log_p = tf.nn.log_softmax(tf.gather_nd(logits, at))
    outside = tf.one_hot(labels.index(OUTSIDE), len(labels), 0.0, -np.inf)
    return tf.where(hit[:, None], log_p, outside)


def likeliest_legal(log_p: tf.RaggedTensor, labels: Labels) -> tf.Tensor:
    """Returns the ids of the likeliest tags that are legal together, by word.

    Args:
        log_p: Ragged, shape (batch, words, labels).
        labels: The tags by id.
    """
    first = tf.constant([may_follow("", label) for label in labels])
    legal = [[may_follow(a, b) for b in labels] for a in labels]
    penalty = tf.constant(np.where(legal, 0.0, -np.inf))
    # One place more than there are words, so that there is one.
    lengths = log_p.row_lengths()
    width = tf.reduce_max(tf.concat([lengths, [0]], axis=0)) + 1
    values = log_p.to_tensor(0.0, shape=[None, None, len(labels)])
    values = tf.pad(
        values, [[0, 0], [0, width - tf.shape(values, tf.int64)[1]], [0, 0]]
    )
    real = tf.transpose(tf.sequence_mask(lengths, width))
    values = tf.transpose(values, (1, 0, 2))
    same = tf.range(len(labels)) + tf.zeros(tf.shape(values)[1:], tf.int32)

    def forward(before: Any, here: Any) -> tuple[Any, Any]:
        best, _ = before
        value, is_word = here
        through = best[:, :, None] + penalty
        back = tf.argmax(through, axis=1, output_type=tf.int32)
        reached = tf.reduce_max(through, axis=1) + value
        kept = is_word[:, None]
        return tf.where(kept, reached, best), tf.where(kept, back, same)

    start = tf.where(first, values[0], tf.constant(-np.inf, tf.float64))
    bests, backs = tf.scan(forward, (values[1:], real[1:]), (start, same))
    ends = tf.concat([start[None], bests], axis=0)[-1]
    last = tf.argmax(ends, axis=-1, output_type=tf.int32)
    path = tf.scan(
        lambda at, back: tf.gather(back, at, batch_dims=1), backs, last, reverse=True
    )
    path = tf.concat([path, last[None]], axis=0)
    return tf.cast(tf.boolean_mask(tf.transpose(path), tf.transpose(real)), tf.int64)


class _Kinds(NamedTuple):
    """What labels are of.

    Attributes:
        of_label: The kind of each label, 0 for O.
        begins: Whether a label begins a span.
        first_label: The label that begins a span of each kind, O's for 0.
    """

    of_label: np.ndarray
    begins: np.ndarray
    first_label: np.ndarray


def _kinds(labels: Labels) -> _Kinds:
    names = ["", *dict.fromkeys(label[2:] for label in labels if label != OUTSIDE)]
    of_label = [0 if one == OUTSIDE else names.index(one[2:]) for one in labels]
    firsts = [labels.index(f"B-{name}" if name else OUTSIDE) for name in names]
    begins = [label.startswith("B-") for label in labels]
    return _Kinds(np.array(of_label), np.array(begins), np.array(firsts))


def _answer(
    text: Any, words: Words, ids: Any, probabilities: Any, labels: Labels
) -> dict[str, Any]:
    """Returns tags of words, and the spans that they mean."""
    kinds = _kinds(labels)
    kind = tf.gather(kinds.of_label, ids)
    rows = words.starts.value_rowids()
    before = tf.concat([[0], kind[:-1]], axis=0)
    goes_on = tf.concat([[False], rows[1:] == rows[:-1]], axis=0) & (kind == before)
    begins = (kind > 0) & (tf.gather(kinds.begins, ids) | ~goes_on)
    ids = tf.where(begins, tf.gather(kinds.first_label, kind), ids)
    of_kind = tf.one_hot(kinds.of_label, len(kinds.first_label))
    scores = tf.gather(tf.matmul(probabilities, of_kind), kind, batch_dims=1)
    characters = characters_of(text)
    span = tf.cumsum(tf.cast(begins, tf.int64)) - 1
    inside, heads = tf.where(kind > 0)[:, 0], tf.where(begins)[:, 0]
    number, count = tf.gather(span, inside), tf.size(heads)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(inside), number, count)
    means = tf.math.unsorted_segment_mean(tf.gather(scores, inside), number, count)
    starts = tf.RaggedTensor.from_value_rowids(
        tf.gather(words.starts.flat_values, heads),
        tf.gather(rows, heads),
        words.starts.nrows(),
    )
    ends = tf.gather(words.ends.flat_values, heads + sizes - 1)
    ends = starts.with_flat_values(ends)
    names = tf.gather([label[2:] for label in labels], tf.gather(ids, heads))
    tags = tf.gather(tf.constant(labels), ids)
    return {
        **_padded("", words.starts, words.ends, characters, tags, scores),
        **_padded("span_", starts, ends, characters, names, means),
    }


def _padded(
    prefix: str, starts: Any, ends: Any, characters: Any, labels: Any, scores: Any
) -> dict[str, Any]:
    """Returns parts of texts with what they are, filled up to the longest row."""
    text, label = ("tokens", "labels") if not prefix else ("text", "label")
    plural = "" if prefix else "s"
    return {
        f"{prefix}{text}": parts_of(characters, starts, ends).to_tensor(""),
        f"{prefix}{label}": starts.with_flat_values(labels).to_tensor(""),
        f"{prefix}score{plural}": starts.with_flat_values(scores).to_tensor(),
        f"{prefix}start": tf.cast(starts.to_tensor(), tf.int32),
        f"{prefix}end": tf.cast(ends.to_tensor(), tf.int32),
        f"{prefix}length": tf.cast(starts.row_lengths(), tf.int32),
    }


def read(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the spans and the tags of each row."""
    found = []
    for row, (words, spans) in enumerate(
        zip(outputs["length"], outputs["span_length"], strict=True)
    ):
        listed = [
            {
                "text": as_text(outputs["span_text"][row][i]),
                "type": as_text(outputs["span_label"][row][i]),
                "score": float(outputs["span_score"][row][i]),
                "start": int(outputs["span_start"][row][i]),
                "end": int(outputs["span_end"][row][i]),
            }
            for i in range(int(spans))
        ]
        tags = as_texts(outputs["labels"][row][: int(words)])
        found.append({"spans": listed, "tags": tags})
    return found
