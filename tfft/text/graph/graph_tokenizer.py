"""The base class of tokenizers inside a TensorFlow graph."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfft.core.errors import DataError
from tfft.text.frame import FramePart, frame
from tfft.text.graph.no_graph_form import no_graph_form
from tfft.text.tokenizer import Tokenizer


class Pieces(NamedTuple):
    """The tokens of texts, without special tokens.

    Attributes:
        ids: Ragged int32, shape (batch, tokens).
        starts: The first character of each token in its text; same shape.
        ends: The character after each token's last one; same shape.
    """

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


class GraphTokenizer(abc.ABC):
    """Turns text into ids inside a graph, exactly as `Tokenizer.encode` does outside.

    It holds only constants, no table and no file, so a function that calls it can be
    saved without tracking it.

    Args:
        tokenizer: The tokenizer to reproduce.
        max_length: The most tokens of a row, including special tokens.

    Raises:
        DataError: When the tokenizer has no exact form inside a graph.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self._frames = {texts: frame(tokenizer, texts) for texts in (1, 2)}
        self.max_length = max_length
        self.pad_id = tokenizer.pad_id
        self._keeps_end = tokenizer.conventions.truncation_side == "left"

    @abc.abstractmethod
    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of a column of texts, without special tokens.

        Args:
            texts: Strings of shape (batch,); invalid UTF-8 is replaced.

        Returns:
            int32 of shape (batch, None).
        """

    def pieces(self, texts: tf.Tensor) -> Pieces:
        """Returns the tokens of a column of texts with their positions in the texts.

        Args:
            texts: Strings of shape (batch,).

        Raises:
            DataError: For a kind of tokenizer that has no positions inside a graph.
        """
        raise DataError(
            f"{type(self).__name__} gives no token positions inside a graph",
            where="export",
            expected="a WordPiece tokenizer, for a task whose answers are positions",
            fix="use export_huggingface, or fine-tune a model like BERT",
        )

    def __call__(self, *texts: tf.Tensor, tail_tokens: int = 0) -> dict[str, tf.Tensor]:
        """Returns the padded batch for one or two columns of texts.

        Args:
            *texts: One or two string tensors of shape (batch,).
            tail_tokens: Number of tokens to keep from the end of a truncated text.

        Returns:
            `token_ids`, `segment_ids` and `padding_mask`, int32 of shape
            (batch, length), where length is that of the longest row, at least 1. A row
            without any token becomes one padding token, which counts as a token.
        """
        room = self.max_length - self.frame_size(len(texts))
        columns = [self.ids(text) for text in texts]
        if self._keeps_end and len(columns) == 1:
            tail_tokens = tail_tokens or room
        columns = _truncate(columns, room, tail_tokens, self._keeps_end)
        if not self.frame_size(len(texts)):
            columns = _never_empty(columns, self.pad_id)
        return self.framed(columns)

    def frame_size(self, texts: int, before: int | None = None) -> int:
        """Returns the number of special tokens around texts.

        Args:
            texts: 1 for single texts, 2 for pairs.
            before: Count only those before this text.
        """
        parts = self._frames[texts]
        if before is not None:
            parts = parts[: [part.text for part in parts].index(before)]
        return sum(part.text is None for part in parts)

    def framed(self, columns: Sequence[tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """Returns the padded batch of ids that fit, with special tokens added."""
        parts, rows = self._frames[len(columns)], tf.cast(columns[0].nrows(), tf.int32)
        filled = [_filled(part, columns, rows) for part in parts]
        token_ids = tf.concat([ids for ids, _ in filled], axis=1)
        segments = tf.concat([segments for _, segments in filled], axis=1)
        return {
            "token_ids": _dense(token_ids, self.pad_id),
            "segment_ids": _dense(segments, 0),
            "padding_mask": _dense(tf.ones_like(token_ids), 0),
        }


def refuse_words_beside_the_vocabulary(rules: dict) -> None:
    """Raises an error for tokens that are searched in the text before all others.

    Args:
        rules: The content of a `tokenizer.json`.

    Raises:
        DataError: When an added token is not special. (Special tokens are never words
            of a text: see `Tokenizer`.)
    """
    words = [one["content"] for one in rules["added_tokens"] if not one["special"]]
    if words:
        raise no_graph_form(
            f"the tokenizer has added tokens that are words, such as {words[0]!r}",
            expected="only special tokens added to the vocabulary",
        )


def _never_empty(
    columns: Sequence[tf.RaggedTensor], pad_id: int
) -> list[tf.RaggedTensor]:
    """Returns columns of texts in which rows without tokens have a padding token."""
    sizes = tf.add_n([column.row_lengths() for column in columns])
    lacking = tf.cast(sizes == 0, sizes.dtype)
    filler = tf.fill([tf.reduce_sum(lacking)], tf.constant(pad_id, columns[0].dtype))
    added = tf.RaggedTensor.from_row_lengths(filler, lacking)
    return [tf.concat([columns[0], added], axis=1), *columns[1:]]


def _filled(
    part: FramePart, columns: Sequence[tf.RaggedTensor], rows: tf.Tensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Returns the ids and the segments of a part, repeated for every row."""
    if part.text is None:
        return _column(part.token_id, rows), _column(part.segment_id, rows)
    ids = columns[part.text]
    return ids, tf.ones_like(ids) * part.segment_id


def _column(value: int, rows: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_tensor(tf.fill([rows, 1], tf.constant(value, tf.int32)))


def _dense(ragged: tf.RaggedTensor, padding: int) -> tf.Tensor:
    """Returns a padded tensor of length 1 or more, because no network takes less."""
    dense = ragged.to_tensor(padding)
    missing = tf.maximum(0, 1 - tf.shape(dense)[1])
    return tf.pad(dense, [[0, 0], [0, missing]], constant_values=padding)


def _truncate(
    columns: list[tf.RaggedTensor], room: int, tail_tokens: int, keeps_end: bool
) -> list[tf.RaggedTensor]:
    """Truncates rows that are too long, of a pair the longer text first."""
    if len(columns) == 1:
        return [_without_middle(columns[0], room, tail_tokens)]
    first, second = (tf.cast(one.row_lengths(), tf.int32) for one in columns)
    shorter, longer = tf.minimum(first, second), tf.maximum(first, second)
    kept = tf.maximum(shorter, room - shorter)
    kept = tf.where(shorter > room, shorter, kept)
    over = shorter + tf.minimum(longer, kept) > room
    low = tf.where(over, room // 2, shorter)
    high = tf.where(over, room // 2 + room % 2, tf.minimum(longer, kept))
    is_first_longer = first > second
    limits = (
        tf.where(is_first_longer, high, low),
        tf.where(is_first_longer, low, high),
    )
    return [
        _cut(one, most, keeps_end) for one, most in zip(columns, limits, strict=True)
    ]


def _without_middle(
    column: tf.RaggedTensor, room: int, tail_tokens: int
) -> tf.RaggedTensor:
    lengths = column.row_lengths()
    positions, limits = _positions(column, lengths - tail_tokens)
    return _chosen(column, (positions < room - tail_tokens) | (positions >= limits))


def _cut(column: tf.RaggedTensor, most: tf.Tensor, keeps_end: bool) -> tf.RaggedTensor:
    most = tf.cast(most, tf.int64)
    if keeps_end:
        positions, lost = _positions(column, column.row_lengths() - most)
        return _chosen(column, positions >= lost)
    positions, limits = _positions(column, most)
    return _chosen(column, positions < limits)


def _positions(
    column: tf.RaggedTensor, limits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns for every value its position in its row and the limit of its row."""
    positions = tf.ragged.range(column.row_lengths()).values
    return positions, tf.gather(limits, column.value_rowids())


def _chosen(column: tf.RaggedTensor, mask: tf.Tensor) -> tf.RaggedTensor:
    """Returns the rows with the values of a mask, which is flat.

    Ragged comparisons and masks do the same, with many times the operations.
    """
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(column.values, mask),
        tf.boolean_mask(column.value_rowids(), mask),
        column.nrows(),
        validate=False,
    )
