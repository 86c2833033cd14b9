"""A tokenizer inside a graph: texts to batches and windows, and ids to texts."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import tensorflow as tf

from tfft.tasks.endpoint import TEXTS, Endpoint
from tfft.text.graph.detokenizer import Detokenizer
from tfft.text.graph.graph_tokenizer import Pieces
from tfft.text.graph.in_graph import graph_tokenizer
from tfft.text.graph.special_tokens import SpecialTokens
from tfft.text.tokenizer import Tokenizer


class Windows(NamedTuple):
    """Texts cut into windows that together hold every token.

    Attributes:
        batch: `token_ids`, `segment_ids` and `padding_mask`, shape (windows, length).
        rows: The text of each window, shape (windows,).
        is_first: Whether it is the first of its text, shape (windows,).
        is_last: Whether it is the last of its text, shape (windows,).
        tokens: The numbers of its tokens, counted through all texts; ragged, shape
            (windows, tokens).
        offsets: The place of its first token in the window, shape (windows,).
        pieces: The tokens of the texts.
    """

    batch: dict[str, tf.Tensor]
    rows: tf.Tensor
    is_first: tf.Tensor
    is_last: tf.Tensor
    tokens: tf.RaggedTensor
    offsets: tf.Tensor
    pieces: Pieces


class TextToIds:
    """A tokenizer inside a graph.

    Args:
        tokenizer: The tokenizer.
        max_length: Maximum number of tokens of a row, special tokens included.
        tail_tokens: Number of tokens that a cut text keeps of its end. Defaults to 0.

    Raises:
        DataError: When no tokenizer in a graph gives the same ids.
    """

    def __init__(
        self, tokenizer: Tokenizer, max_length: int, tail_tokens: int = 0
    ) -> None:
        self.max_length, self.outside = max_length, tokenizer
        self._tail_tokens = tail_tokens
        self._tokenizer = graph_tokenizer(tokenizer, max_length)

    def __call__(self, *texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the padded batch of one or two columns of texts."""
        return self._tokenizer(*texts, tail_tokens=self._tail_tokens)

    def ids(
        self, texts: tf.Tensor, *, split_special_tokens: bool = True
    ) -> tf.RaggedTensor:
        """Returns the ids of a column of texts, without added special tokens.

        Args:
            texts: Strings of shape (batch,).
            split_special_tokens: Whether texts that spell special tokens are split
                into letters instead of becoming those tokens.
        """
        if split_special_tokens:
            return self._tokenizer.ids(texts)
        return self._special_tokens.ids(texts, self._tokenizer.ids)

    @cached_property
    def _special_tokens(self) -> SpecialTokens:
        with tf.init_scope():  # one for all signatures
            return SpecialTokens(self.outside)

    def pieces(self, texts: tf.Tensor) -> Pieces:
        """Returns the tokens of a column of texts with their places in the texts.

        Raises:
            DataError: For a kind of tokenizer that does not report places.
        """
        return self._tokenizer.pieces(texts)

    @cached_property
    def _detokenizer(self) -> Detokenizer:
        with tf.init_scope():  # one for all signatures
            return Detokenizer(self.outside, skip_special_tokens=False)

    def texts(self, token_ids: tf.RaggedTensor) -> tf.Tensor:
        """Returns the text of each row of ids, with special tokens spelled out."""
        return self._detokenizer(token_ids)

    def spelled(self, token_ids: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of each token, which may be part of a character."""
        return self._detokenizer.spelled(token_ids)

    def endpoint(self) -> Endpoint:
        """Returns the signature `tokenize`, which adds no special tokens."""

        def tokenize(text: Any) -> dict[str, Any]:
            ids = self.ids(text)
            padded = ids.to_tensor(self.outside.pad_id)
            return {"token_ids": padded, "length": ids.row_lengths()}

        return Endpoint({"text": TEXTS}, tokenize)

    def windows(self, *texts: tf.Tensor, stride: int) -> Windows:
        """Returns texts as windows; of two texts, only the second is cut.

        Args:
            *texts: One or two string tensors of shape (batch,).
            stride: Number of tokens that a window shares with the one before.
        """
        *before, pieces = [self.pieces(text) for text in texts]
        count, sizes = len(texts), pieces.ids.row_lengths()
        taken = sum(one.ids.row_lengths() for one in before) + tf.zeros_like(sizes)
        room = self.max_length - self._tokenizer.frame_size(count) - taken
        offsets = self._tokenizer.frame_size(count, before=count - 1) + taken
        step = tf.maximum(room - stride, 1)
        # One, and one more for each started step beyond the first window.
        counts = 1 - tf.minimum(room - sizes, 0) // step
        rows = tf.repeat(tf.range(tf.size(counts)), counts)
        index = tf.ragged.range(counts).flat_values
        starts = index * tf.gather(step, rows)
        ends = tf.minimum(starts + tf.gather(room, rows), tf.gather(sizes, rows))
        at = tf.gather(pieces.ids.row_starts(), rows)
        tokens = tf.ragged.range(starts + at, ends + at)
        columns = [tf.gather(one.ids, rows) for one in before]
        columns.append(tf.gather(pieces.ids.flat_values, tokens))
        return Windows(
            self._tokenizer.framed(columns),
            rows,
            index == 0,
            index + 1 == tf.gather(counts, rows),
            tokens,
            tf.gather(offsets, rows),
            pieces,
        )
