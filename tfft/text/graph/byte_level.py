"""Byte-level byte pair encoding in a TensorFlow graph, equal to `tokenizers`.

Uses only core operations and constants: no table to fill and no operation of another
library.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.text.graph.byte_pairs import BytePairs
from tfft.text.graph.graph_tokenizer import (
    GraphTokenizer,
    Pieces,
    refuse_words_beside_the_vocabulary,
)
from tfft.text.graph.no_graph_form import no_graph_form
from tfft.text.graph.splitter import Splitter
from tfft.text.tokenizer import Tokenizer

_BUCKETS = 2**63 - 1
_PLAIN_MODEL = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "byte_fallback": False,
}


def byte_of_letters() -> dict[str, int]:
    """Returns the byte that each letter of a byte-level vocabulary represents.

    Printable ASCII and Latin-1 represent themselves, the others follow from U+0100.

    >>> letters = byte_of_letters()
    >>> letters["A"], letters["Ġ"], len(letters)
    (65, 32, 256)
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    shifted = {chr(0x100 + index): byte for index, byte in enumerate(others)}
    return {chr(byte): byte for byte in plain} | shifted


def bytes_of(token: str) -> bytes:
    """Returns the bytes that a token of a byte-level vocabulary spells.

    A token with letters that represent no byte, such as an added token, spells itself.

    >>> bytes_of("Ġnew"), bytes_of("two words")
    (b' new', b'two words')
    """
    if all(letter in _BYTES for letter in token):
        return bytes(_BYTES[letter] for letter in token)
    return token.encode()


_BYTES = byte_of_letters()
_LETTERS = sorted(_BYTES, key=_BYTES.__getitem__)


class ByteLevelTokenizer(GraphTokenizer):
    """A byte-level tokenizer inside a graph.

    Args:
        tokenizer: A tokenizer like that of GPT-2, RoBERTa, SmolLM2, Llama 3 or Qwen 2.
        max_length: The most tokens of a row, including special tokens.

    Raises:
        DataError: When the tokenizer has no exact form inside a graph.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        rules = json.loads(tokenizer.to_json())
        _check(rules)
        super().__init__(tokenizer, max_length)
        ids = rules["model"]["vocab"]
        self._split = Splitter(rules)
        self._merge = BytePairs(ids, [tuple(pair) for pair in rules["model"]["merges"]])
        self._byte_ids = tf.constant([ids.get(letter, -1) for letter in _LETTERS])
        self._lacks_bytes = any(letter not in ids for letter in _LETTERS)
        self._sizes = tf.constant(_by_id(ids, lambda token: len(bytes_of(token))))
        self._trims = _trims(rules, ids)
        whole = _whole_words(tokenizer, ids)
        words = tf.constant(list(whole), tf.string)
        order = np.argsort(_hashed(words).numpy(), kind="stable")
        self._words = tf.gather(words, order)
        self._hashes = _hashed(self._words)
        self._word_ids = tf.constant(np.array([*whole.values()], "int32")[order])

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of a column of texts, without special tokens."""
        return self._ids(self._split(texts).words)

    def pieces(self, texts: tf.Tensor) -> Pieces:
        """Returns the tokens of a column of texts with their positions in the texts.

        Raises:
            DataError: When a byte has no token: `tokenizers` drops such a byte and then
                reports shifted positions for what follows.
        """
        if self._lacks_bytes:
            _refuse("bytes without a token", "a token for each byte, to find positions")
        split = self._split(texts)
        ids = self._ids(split.words)
        sizes = tf.gather(self._sizes, ids.flat_values)
        ends = tf.cumsum(sizes)
        first = tf.gather(split.character_of_byte, ends - sizes)
        last = tf.gather(split.character_of_byte, ends - 1) + 1
        first, last = self._trimmed(ids, first, last)
        return Pieces(ids, ids.with_flat_values(first), ids.with_flat_values(last))

    def _ids(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        different, places = tf.unique(words.flat_values)
        pieces = tf.gather(self._pieces(different), places)
        return words.with_flat_values(pieces).merge_dims(1, 2)

    def _pieces(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of words: looked up, or merged from their bytes."""
        places = tf.searchsorted(self._hashes, _hashed(words))
        places = tf.minimum(places, tf.size(self._hashes) - 1)
        is_whole = tf.gather(self._words, places) == words
        whole = tf.gather(self._word_ids, tf.boolean_mask(places, is_whole))
        parts = self._merge(self._bytes(tf.boolean_mask(words, ~is_whole)))
        pieces = tf.concat([tf.RaggedTensor.from_tensor(whole[:, None]), parts], 0)
        place_whole = tf.cumsum(tf.cast(is_whole, tf.int32), exclusive=True)
        place_parts = tf.cumsum(tf.cast(~is_whole, tf.int32), exclusive=True)
        place = tf.where(is_whole, place_whole, place_parts + tf.size(whole))
        return tf.gather(pieces, place)

    def _bytes(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of the bytes of words, without bytes that have no token."""
        single = tf.strings.bytes_split(words)
        codes = tf.reshape(tf.io.decode_raw(single.flat_values, tf.uint8), [-1])
        ids = single.with_flat_values(
            tf.gather(self._byte_ids, tf.cast(codes, tf.int32))
        )
        return tf.ragged.boolean_mask(ids, ids >= 0) if self._lacks_bytes else ids

    def _trimmed(
        self, ids: tf.RaggedTensor, first: tf.Tensor, last: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Removes blanks from token positions, if the tokenizer does so."""
        if self._trims is None:
            return first, last
        leading, trailing = (
            tf.cast(tf.gather(trim, ids.flat_values), first.dtype)
            for trim in self._trims
        )
        if self._split.prefix_space:  # `tokenizers` counts it as its own
            leading -= tf.cast((first == 0) & (leading == 1), first.dtype)
        first = tf.minimum(first + leading, last)
        return first, tf.maximum(last - trailing, first)


def _hashed(words: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(words, _BUCKETS)


def _check(rules: Mapping[str, Any]) -> None:
    """Raises an error for settings that this module does not support.

    Args:
        rules: The content of a `tokenizer.json`.

    Raises:
        DataError: Names the setting.
    """
    refuse_words_beside_the_vocabulary(rules)
    model = rules["model"]
    for name, plain in _PLAIN_MODEL.items():
        if (model.get(name) or None) != (plain or None):
            _refuse(f"{name} {model[name]!r}", repr(plain))
    if rules["normalizer"] is not None:
        _refuse(f"the normalizer {rules['normalizer']}", "none")


def _refuse(what: str, expected: str) -> None:
    raise no_graph_form(
        f"tokenizer with {what}",
        expected=expected,
    )


def _by_id(ids: Mapping[str, int], number: Callable[[str], int]) -> np.ndarray:
    """Returns a number for each id; 0 for ids without a token."""
    numbers = np.zeros(max(ids.values()) + 1, "int32")
    for token, index in ids.items():
        numbers[index] = number(token)
    return numbers


def _trims(
    rules: Mapping[str, Any], ids: Mapping[str, int]
) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Returns the blanks before and after each token, if offsets leave them out."""
    whole = rules["post_processor"] or {}
    steps = whole.get("processors", [whole])
    if not any(step.get("trim_offsets") for step in steps):
        return None
    blank = _LETTERS[ord(" ")]
    leading = _by_id(ids, lambda token: len(token) - len(token.lstrip(blank)))
    trailing = _by_id(ids, lambda token: len(token) - len(token.rstrip(blank)))
    return tf.constant(leading), tf.constant(trailing)


def _whole_words(tokenizer: Tokenizer, ids: Mapping[str, int]) -> dict[bytes, int]:
    """Returns the words that are a single token, by their bytes."""
    model = tokenizer.library.model
    return {
        bytes_of(token): index
        for token, index in ids.items()
        if set(token) <= _BYTES.keys()
        and [piece.id for piece in model.tokenize(token)] == [index]
    }
