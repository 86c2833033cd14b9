"""Finds special tokens that texts spell, inside a TensorFlow graph."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfft.core.errors import DataError
from tfft.text.tokenizer import Tokenizer

# Bytes that UTF-8 never uses: one around each special token, one before it.
_BORDER, _MARK = b"\xff", b"\xfe"
# The white space of `tokenizers`; RE2's \s covers only ASCII.
_BLANK = (
    r"[\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}"
    r"\x{3000}]*"
)
_BUCKETS = 2**63 - 1


class SpecialTokens:
    """Finds the special tokens that texts spell, as `tokenizers` does.

    Args:
        tokenizer: The tokenizer.

    Raises:
        DataError: For a special token that counts only as a whole word.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        added = tokenizer.library.get_added_tokens_decoder()
        special = {
            token.content: (index, token)
            for index, token in added.items()
            if token.special
        }
        # RE2 takes the first alternative that fits, `tokenizers` the longest.
        names = sorted(special, key=len, reverse=True)
        self._pattern = "|".join(_expression(special[name][1]) for name in names)
        trims = any(token.lstrip or token.rstrip for _, token in special.values())
        self._trim = f"^{_BLANK}|{_BLANK}$" if trims else None
        words = tf.constant(names, tf.string)
        hashes = tf.strings.to_hash_bucket_fast(words, _BUCKETS)
        order = np.argsort(hashes.numpy(), kind="stable")
        ids = np.array([special[name][0] for name in names], "int32")
        self._hashes, self._ids = tf.gather(hashes, order), tf.constant(ids[order])

    def ids(
        self, texts: tf.Tensor, plain: Callable[[tf.Tensor], tf.RaggedTensor]
    ) -> tf.RaggedTensor:
        """Returns the ids of texts.

        Args:
            texts: Strings of shape (batch,).
            plain: Returns the ids of texts without special tokens. It receives the
                text between two special tokens as a separate text.
        """
        if not self._pattern:
            return plain(texts)
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        around = _BORDER + _MARK + rb"\0" + _BORDER
        marked = tf.strings.regex_replace(texts, self._pattern, around)
        parts = tf.strings.split(marked, sep=_BORDER)
        flat = parts.flat_values
        is_special = tf.strings.substr(flat, 0, 1) == _MARK
        between = plain(tf.where(is_special, "", flat))
        found = tf.RaggedTensor.from_row_lengths(
            self._known(tf.boolean_mask(flat, is_special)),
            tf.cast(is_special, tf.int64),
        )
        # In each part, one of the two is empty.
        ids = tf.concat([between, found], axis=1)
        return parts.with_values(ids).merge_dims(1, 2)

    def _known(self, parts: tf.Tensor) -> tf.Tensor:
        """Returns the ids of the parts that are special tokens."""
        sizes = tf.strings.length(parts)
        names = tf.strings.substr(parts, tf.ones_like(sizes), sizes - 1)
        if self._trim is not None:
            names = tf.strings.regex_replace(names, self._trim, "")
        hashes = tf.strings.to_hash_bucket_fast(names, _BUCKETS)
        return tf.gather(self._ids, tf.searchsorted(self._hashes, hashes))


def _expression(token: object) -> str:
    """Returns the regular expression that finds a special token.

    Raises:
        DataError: For a token that counts only as a whole word.
    """
    if token.single_word:
        raise DataError(
            f"special token {token.content!r}, which counts only as a whole word",
            expected="special tokens that count anywhere in a text",
            fix="train with task.split_special_tokens=True",
        )
    before, after = _BLANK * token.lstrip, _BLANK * token.rstrip
    return before + re.escape(token.content) + after
