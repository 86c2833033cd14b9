"""Token classification: typed spans of words, such as names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import DataError, nearest, one_of, shorten
from tfft.data.batching import Examples
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.endpoint import Served
from tfft.tasks.joining import join_choices
from tfft.tasks.losses import as_vector, check_options, cross_entropy, weights_by_label
from tfft.tasks.strata import rarest
from tfft.tasks.task import TASKS, Labels, Task
from tfft.tasks.tokens.sentences import Sentence, SentenceColumns
from tfft.tasks.tokens.tag_schemes import OUTSIDE, Scheme, repaired, spans_of
from tfft.tasks.tokens.tagging import (
    IGNORED,
    Tagged,
    likeliest_legal,
    on_first_tokens,
    place_words,
    tagged_answer,
    word_log_probabilities,
)
from tfft.tasks.windows import row_length
from tfft.text.tokenizer import Tokenizer, Window


@TASKS.register("token_classification")
@configuration(aliases={"text_column": "text", "label_column": "tags"})
class TokenClassification(Task):
    """Typed spans of words, learned from tags of words or spans of characters.

    The first token of a word carries its label; the others have none. A text longer
    than `max_length` becomes overlapping windows. Each word is predicted once, in the
    window where it has the most context.

    Args:
        tokens: Column with lists of words. Defaults to `tokens`.
        tags: Column with their tags. Defaults to `ner_tags`.
        text: Column with texts, for rows without words. Defaults to `text`.
        spans: Column with the spans of the texts, each with `start`, `end` (in
            characters) and `label`. Defaults to `spans`.
        scheme: Scheme of the tags: `IOB1`, `IOB2`, `BIOES`, `BILOU`, or `auto` to
            detect it. Defaults to `auto`.
        max_length: Maximum number of tokens of a window, including special tokens.
            Defaults to 256.
        stride: Tokens that a window shares with the previous one. Defaults to 64.
        decoding: `viterbi` takes the most likely valid tag sequence. `repair` takes the
            most likely tag of each word and lets a lone `I-` begin a span. Defaults to
            `viterbi`.
        dropout: Dropout on the states before the head. Defaults to 0.1.
        class_weights: Weights of the tags in the loss: `balanced`, or a weight for
            each label, such as `O=0.5`. Defaults to none.
        label_smoothing: Share of a label's weight that is spread evenly over all
            labels. Defaults to 0.
        focal_gamma: Exponent of the focal loss; higher values make easy words count
            less. Defaults to 0.

    >>> TokenClassification(scheme="IOB1", decoding="repair").stride
    64
    """

    evaluation = "token_classification"
    per_token = True
    joiner = staticmethod(join_choices)

    tokens: str = "tokens"
    tags: str = "ner_tags"
    text: Sequence[str] = ("text",)
    spans: str = "spans"
    scheme: Scheme = "auto"
    max_length: int = 256
    stride: int = 64
    decoding: Literal["viterbi", "repair"] = "viterbi"
    dropout: float = 0.1
    class_weights: Any = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        require(len(self.text) == 1, self, "text", "one column")
        require(self.tokens != self.tags, self, "tags", "another column than tokens")
        require(self.spans != self.text[0], self, "spans", "another column than text")
        require(self.max_length >= 8, self, "max_length", "8 or more tokens")
        fits = 0 <= self.stride <= self.max_length // 2
        require(
            fits, self, "stride", f"0 to {self.max_length // 2}, half of max_length"
        )
        require(0 <= self.dropout < 1, self, "dropout", "from 0 up to but not 1")
        check_options(self)

    @property
    def peft_task_type(self) -> str:
        """TOKEN_CLS."""
        return "TOKEN_CLS"

    @property
    def _columns(self) -> SentenceColumns:
        return SentenceColumns(
            self.text[0], self.spans, self.tokens, self.tags, self.scheme
        )

    def suited_to(self, pretrained: Pretrained) -> tuple[Task, list[str]]:
        """Returns the task with windows that fit the model."""
        limit = pretrained.max_length
        if limit is None or self.max_length <= limit:
            return self, []
        stride = min(self.stride, limit // 4)
        note = f"max_length is the model's limit, {limit}, and stride {stride}"
        return replace(self, max_length=limit, stride=stride), [note]

    def learned_from(self, table: Table, labels: Labels) -> tuple[Task, list[str]]:
        """Returns the task with the weights of the labels."""
        counts = Counter(tag for one in self._sentences(table) for tag in one.tags)
        weights = weights_by_label(self.class_weights, labels, counts)
        return replace(self, class_weights=weights), []

    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows without words, or with tags of no scheme.

        Raises:
            DataError: When a column is missing.
        """
        return self._columns.bad_rows(table, labelled=labelled)

    def _sentences(self, table: Table, *, labelled: bool = True) -> list[Sentence]:
        return self._columns.sentences(table, labelled=labelled)

    def learn_labels(self, table: Table) -> Labels:
        """Returns O, then B- and I- of each type, sorted by type.

        Raises:
            DataError: When no row has a span.
        """
        kinds = sorted({kind for row in self.described(table) for kind in row})
        if not kinds:
            raise DataError(
                f"no spans: every word of {len(table):,} rows is O",
                where=table.source,
                expected="some words with a type",
                fix="name the column of the tags with task.tags, or of the spans with "
                "task.spans",
            )
        return (OUTSIDE, *(f"{p}-{kind}" for kind in kinds for p in "BI"))

    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Raises an error for a type that no training row has.

        Raises:
            DataError: With the type, its word and row, and the types of training.
        """
        known = sorted({label[2:] for label in labels if label != OUTSIDE})
        for row, sentence in enumerate(self._sentences(table)):
            for start, end, kind in spans_of(sentence.tags):
                if kind not in known:
                    first, last = sentence.words[start][0], sentence.words[end - 1][1]
                    raise DataError(
                        f"type {shorten(kind)} of {shorten(sentence.text[first:last])} "
                        f"in the {split} rows is absent from train",
                        where=f"{table.where(row)}, word {start + 1}",
                        expected=one_of(known[:20]),
                        fix=nearest(kind, known)
                        or "add training rows with it, or remove these",
                    )

    def described(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the types of the spans of each row."""
        return [
            tuple(span.type for span in spans_of(one.tags))
            for one in self._sentences(table)
        ]

    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns the rarest type of each row."""
        return rarest(self.described(table))

    def texts(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the text of each row, with words joined by spaces."""
        return [(one.text,) for one in self._sentences(table, labelled=False)]

    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows as windows; a word's label is on its first token."""
        sentences = self._sentences(table, labelled=labels is not None)
        texts = [one.text for one in sentences]
        by_row = tokenizer.windows(texts, None, self.max_length, self.stride)
        windows: list[Window] = []
        places = []
        for sentence, parts in zip(sentences, by_row, strict=True):
            places.append(place_words(sentence.words, parts, self.stride, len(windows)))
            windows.extend(parts)
        sequences = {
            "token_ids": [one.token_ids for one in windows],
            "segment_ids": [one.segment_ids for one in windows],
        }
        padding = {"token_ids": tokenizer.pad_id, "segment_ids": 0}
        if labels is not None:
            padding["labels"] = IGNORED
            sequences["labels"] = on_first_tokens(sentences, places, windows, labels)
        sources = [[row] for row, parts in enumerate(by_row) for _ in parts]
        examples = Examples(sequences, {}, padding, sources=sources)
        lengths = [row_length(parts, self.stride) for parts in by_row]
        return Encoded(examples, places=places, lengths=lengths)

    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns a `TokenClassifier` on the backbone."""
        from tfft.tasks.networks.token_classifier import TokenClassifier

        return TokenClassifier(
            pretrained.backbone,
            num_classes=len(labels),
            dropout=self.dropout,
            seed=seed,
        )

    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sums of -log p(label) and of the weights of labeled tokens.

        Args:
            outputs: Logits, shape (batch, length, labels).
            batch: `labels`, shape (batch, length), -1 where there is none, and
                `weights`, shape (batch,).
        """
        from keras import ops

        losses, weights = cross_entropy(
            batch["labels"],
            outputs,
            class_weights=as_vector(self.class_weights),
            label_smoothing=self.label_smoothing,
            focal_gamma=self.focal_gamma,
        )
        rows = batch["weights"][:, None]
        return ops.sum(losses * rows), ops.sum(weights * rows)

    def gold(self, table: Table, labels: Labels) -> list[list[str]]:
        """Returns the IOB2 tags of each row."""
        return [one.tags for one in self._sentences(table)]

    def decode(
        self, outputs: Sequence[np.ndarray], encoded: Encoded, table: Table,
        labels: Labels,
    ) -> list[Tagged]:  # fmt: skip
        """Returns the tags of each row, and the probabilities for its words."""
        found = []
        for places in encoded.places:
            log_p = word_log_probabilities(outputs, places, labels)
            ids = log_p.argmax(axis=-1)
            if self.decoding == "viterbi":
                ids = likeliest_legal(log_p, labels)
            tags = repaired([labels[i] for i in ids])
            found.append(Tagged(tags, np.exp(log_p)))
        return found

    def answers(
        self, predictions: Sequence[Tagged], table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns the spans of each row and the tag of each word.

        A span has `text`, `type`, `score` (the mean probability of its type over its
        words), and `start` and `end` in characters of the text.
        """
        sentences = self._sentences(table, labelled=False)
        return [
            tagged_answer(sentence, tagged, labels)
            for sentence, tagged in zip(sentences, predictions, strict=True)
        ]

    def served(self, labels: Labels) -> Served:
        """Returns the graph half: words, their tags, and spans."""
        from tfft.tasks.tokens.tagging_in_graph import ServedTags

        return ServedTags(labels, self.stride, viterbi=self.decoding == "viterbi")

    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table from texts, lists of words, or rows with either."""
        return self._columns.rows(inputs)

    def check_inputs(self, table: Table) -> None:
        """Raises an error for any other input. Empty text is fine."""
        if not self._columns.has_tokens(table):
            super().check_inputs(table)
            return
        self._columns.check(table)
