"""A WordPiece tokenizer inside a TensorFlow graph, equal to that of `tokenizers`.

The module does not repeat the rules for single characters (lowercase, remove the
accent, drop, separate as punctuation). It asks the tokenizer once for every Unicode
character and keeps the answers as a table. So the graph agrees with the tokenizer,
whatever Unicode version either was built with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from tfft.core.errors import DataError
from tfft.text.graph.graph_tokenizer import (
    GraphTokenizer,
    Pieces,
    refuse_words_beside_the_vocabulary,
)
from tfft.text.tokenizer import Tokenizer

_CHARACTERS = 0x110000
_SURROGATES = range(0xD800, 0xE000)
_SEPARATOR = "|"
# Rows of the table of replacements that many characters share.
_SAME, _DROPPED, _SPACE, _APART = 0, 1, 2, 3


@dataclass(frozen=True)
class CharacterTable:
    """The replacement of each character.

    Attributes:
        kind: Row of `replacements` for each code point; 0 keeps the character, 3 only
            separates it.
        replacements: UTF-8 texts, with a space on each side of a character that is a
            separate word.
    """

    kind: np.ndarray
    replacements: list[str]


def character_table(tokenizer: Tokenizer) -> CharacterTable:
    """Finds what a tokenizer does to every character by asking it.

    Raises:
        DataError: When it is not a WordPiece tokenizer with BERT's rules, which treat
            each character independently of its neighbors.
    """
    rules = json.loads(tokenizer.to_json())
    kinds = {part: (rules[part] or {}).get("type") for part in _NEEDED}
    if kinds != _NEEDED:
        raise DataError(
            f"the tokenizer is built of {kinds}",
            expected="BERT's normalizer and pre-tokenizer with WordPiece",
            fix="export only works for BERT-style tokenizers",
        )
    refuse_words_beside_the_vocabulary(rules)
    characters = [chr(code) for code in range(_CHARACTERS) if code not in _SURROGATES]
    texts = _normalized(tokenizer.library.normalizer, characters)
    apart = _set_apart(tokenizer.library.pre_tokenizer, list(set("".join(texts))))
    rows = {"": _DROPPED, " ": _SPACE, "set apart": _APART}
    kind = np.zeros(_CHARACTERS, "int32")
    for character, text in zip(characters, texts, strict=True):
        if text == character and character not in apart:
            continue
        text = "".join(apart.get(part, part) for part in text)
        if text == f" {character} ":
            # The 90,000 Chinese characters share one row.
            kind[ord(character)] = _APART
        elif text != character:
            kind[ord(character)] = rows.setdefault(text, len(rows) + 1)
    return CharacterTable(kind, ["", *rows])


def _normalized(normalizer: Any, characters: Sequence[str]) -> list[str]:
    """Returns what the normalizer makes of each character.

    Many at once take a third of the time. The separator is a character that it
    keeps: no mark can join the character before its own.
    """
    texts: list[str] = []
    for some in _batched(characters):
        at = some.index(_SEPARATOR) if _SEPARATOR in some else None
        found = normalizer.normalize_str(_SEPARATOR.join(some)).split(_SEPARATOR)
        if at is not None:  # three separators in a row
            found[at : at + 2] = [_SEPARATOR]
        texts += found
    return texts


def _set_apart(splitter: Any, characters: Sequence[str]) -> dict[str, str]:
    """Returns the replacement of each character that cannot be inside a word.

    Each is asked about twice in a row: inside a word, both are in one piece.
    """
    found = {}
    for some in _batched(characters):
        pieces = splitter.pre_tokenize_str("".join(2 * one for one in some))
        inside = {
            index
            for _, (start, end) in pieces
            if end - start > 1
            for index in range(start // 2, end // 2)
        }
        for index, one in enumerate(some):
            if index not in inside:
                found[one] = " " if one.isspace() else f" {one} "
    return found


def _batched(items: Sequence[str], size: int = 1024) -> Iterator[Sequence[str]]:
    """Yields the items in order, many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


_NEEDED = {
    "normalizer": "BertNormalizer",
    "pre_tokenizer": "BertPreTokenizer",
    "model": "WordPiece",
}


class WordPieceTokenizer(GraphTokenizer):
    """A WordPiece tokenizer inside a graph; see `GraphTokenizer`."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        table = character_table(tokenizer)
        super().__init__(tokenizer, max_length)
        rules = json.loads(tokenizer.to_json())["model"]
        self._kind = tf.constant(table.kind)
        self._replacements = tf.constant(table.replacements)
        self._sizes = tf.constant(
            [len(text.replace(" ", "").encode()) for text in table.replacements]
        )
        self._longest_word = int(rules["max_input_chars_per_word"])
        self._unknown = rules["unk_token"]
        self._pieces = tf_text.FastWordpieceTokenizer(
            vocab=_pieces_by_id(rules["vocab"]),
            suffix_indicator=rules["continuing_subword_prefix"],
            unknown_token=self._unknown,
            # The operation counts bytes, not characters: the limit is applied earlier.
            max_bytes_per_word=4 * self._longest_word,
            no_pretokenization=True,
            token_out_type=tf.int32,
        )

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of a column of texts, without special tokens."""
        return self.pieces(texts).ids

    def pieces(self, texts: tf.Tensor) -> Pieces:
        """Returns the tokens of a column of texts with their positions."""
        characters = tf.strings.unicode_split(texts, "UTF-8", errors="replace")
        codes = tf.strings.unicode_decode(texts, "UTF-8", errors="replace").flat_values
        kind, same = tf.gather(self._kind, codes), characters.flat_values
        changed = tf.where(kind == _SAME, same, tf.gather(self._replacements, kind))
        apart = tf.strings.join([" ", same, " "])
        changed = tf.where(kind == _APART, apart, changed)
        plain = tf.strings.reduce_join(characters.with_flat_values(changed), axis=-1)
        words = tf.strings.split(plain)
        lengths = tf.strings.length(words.flat_values, unit="UTF8_CHAR")
        is_long = lengths > self._longest_word
        short = tf.where(is_long, self._unknown, words.flat_values)
        ids, *ends = self._pieces.tokenize_with_offsets(words.with_flat_values(short))
        starts, ends = self._bytes(ids, *ends, words.flat_values, is_long)
        place = tf.repeat(
            tf.ragged.range(characters.row_lengths()).flat_values,
            self._bytes_of(codes, kind, same),
        )
        ids = ids.merge_dims(1, 2)
        return Pieces(
            ids,
            ids.with_flat_values(tf.gather(place, starts)),
            ids.with_flat_values(tf.gather(place, ends - 1) + 1),
        )

    def _bytes(
        self, ids: Any, starts: Any, ends: Any, words: tf.Tensor, is_long: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the first byte and the end of each piece, counted over all words."""
        sizes = tf.strings.length(words)
        before = tf.cumsum(sizes, exclusive=True)
        word = ids.values.value_rowids()
        # The token for words that are too long does not have the word's size.
        whole = tf.gather(is_long, word)
        first = tf.where(whole, 0, tf.cast(starts.flat_values, tf.int32))
        last = tf.cast(ends.flat_values, tf.int32)
        last = tf.where(whole, tf.gather(sizes, word), last)
        return first + tf.gather(before, word), last + tf.gather(before, word)

    def _bytes_of(
        self, codes: tf.Tensor, kind: tf.Tensor, same: tf.Tensor
    ) -> tf.Tensor:
        """Returns the number of bytes in words that each character becomes."""
        kept = (kind == _SAME) | (kind == _APART)
        sizes = tf.where(kept, tf.strings.length(same), tf.gather(self._sizes, kind))
        return tf.where(codes == ord(" "), 0, sizes)


def _pieces_by_id(ids: dict[str, int]) -> list[str]:
    """Returns the piece of each id, or a text that no word contains."""
    pieces = [f"\n{index}" for index in range(max(ids.values()) + 1)]
    for piece, index in ids.items():
        pieces[index] = piece
    return pieces
