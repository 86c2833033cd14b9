"""Tags and spans of texts inside a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfft.tasks.endpoint import (
    TEXTS,
    Endpoint,
    Endpoints,
    InGraph,
    Served,
    as_text,
    as_texts,
    called,
    characters_of,
    ids_of,
    parts_of,
)
from tfft.tasks.tokens.tag_schemes import OUTSIDE
from tfft.tasks.tokens.viterbi_in_graph import likeliest_legal
from tfft.tasks.tokens.words_in_graph import Words, positions_of_words, words_in_graph

Labels = tuple[Any, ...]


@dataclass(frozen=True)
class ServedTags(Served):
    """The served half of token classification.

    Attributes:
        labels: IOB2 tags by id, `B-` and `I-` of each type.
        stride: Tokens that a window shares with the previous one.
        viterbi: Whether to take the most likely valid tag sequence instead of the most
            likely tag of each word.
    """

    labels: Labels
    stride: int
    viterbi: bool

    def endpoints(self, network: Any, tokenizer: InGraph) -> Endpoints:
        """Returns signatures for words with tags and spans, and for probabilities."""
        names = list(ids_of(network))

        def from_text(text: Any) -> dict[str, Any]:
            words = words_in_graph(text)
            windows = tokenizer.windows(text, stride=self.stride)
            logits = called(network, windows.batch)
            positions = positions_of_words(words, windows)
            log_p = _log_probabilities(logits, *positions, self.labels)
            best = self._best(words, log_p)
            return _answer(text, words, best, tf.exp(log_p), self.labels)

        def from_ids(*given: Any) -> dict[str, Any]:
            logits = network(dict(zip(names, given, strict=True)))
            return {"probabilities": tf.nn.softmax(logits)}

        return {
            "serving_default": Endpoint({"text": TEXTS}, from_text),
            "serving_tensors": Endpoint(ids_of(network), from_ids),
        }

    def _best(self, words: Words, log_p: tf.Tensor) -> tf.Tensor:
        if not self.viterbi:
            return tf.argmax(log_p, axis=-1)
        padded = words.starts.with_flat_values(tf.cast(log_p, tf.float64))
        return likeliest_legal(padded, self.labels)

    def read(self, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the spans and the tags of each row."""
        rows = zip(outputs["length"], outputs["span_length"], strict=True)
        return [
            {
                "spans": [_span(outputs, row, i) for i in range(int(spans))],
                "tags": as_texts(outputs["labels"][row][: int(words)]),
            }
            for row, (words, spans) in enumerate(rows)
        ]


def _span(outputs: Mapping[str, Any], row: int, index: int) -> dict[str, Any]:
    return {
        "text": as_text(outputs["span_text"][row][index]),
        "type": as_text(outputs["span_label"][row][index]),
        "score": float(outputs["span_score"][row][index]),
        "start": int(outputs["span_start"][row][index]),
        "end": int(outputs["span_end"][row][index]),
    }


def _log_probabilities(
    logits: tf.Tensor, window: tf.Tensor, position: tf.Tensor, labels: Labels
) -> tf.Tensor:
    """Returns log p of each label for each word; a word without tokens is O."""
    hit = window >= 0
    at = tf.stack([tf.maximum(window, 0), position], axis=-1)
    log_p = tf.nn.log_softmax(tf.gather_nd(logits, at))
    outside = tf.one_hot(labels.index(OUTSIDE), len(labels), 0.0, -np.inf)
    return tf.where(hit[:, None], log_p, outside)


class _Kinds(NamedTuple):
    """The kinds of spans that labels mark.

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
