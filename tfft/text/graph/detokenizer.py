"""Turns ids into text in a TensorFlow graph, like `tokenizers`' byte-level decoder."""

from __future__ import annotations

import json

import tensorflow as tf

from tfft.text.graph.byte_level import bytes_of
from tfft.text.graph.no_graph_form import no_graph_form
from tfft.text.tokenizer import Tokenizer


class Detokenizer:
    """Turns ids into text as a byte-level tokenizer decodes them.

    Args:
        tokenizer: A byte-level tokenizer.
        skip_special_tokens: Whether to leave special tokens out or spell them.

    Raises:
        DataError: When the tokenizer has another kind of decoder.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, skip_special_tokens: bool = True
    ) -> None:
        rules = json.loads(tokenizer.to_json())
        kind = (rules["decoder"] or {}).get("type")
        if kind != "ByteLevel":
            raise no_graph_form(
                f"the tokenizer has the decoder {kind}",
                expected="ByteLevel",
            )
        tokens = tokenizer.library.get_vocab(with_added_tokens=True)
        spelled = [b""] * (max(tokens.values()) + 1)
        for token, index in tokens.items():
            spelled[index] = bytes_of(token)
        for token in rules["added_tokens"]:
            if skip_special_tokens and token["special"]:
                spelled[token["id"]] = b""
        # The last entry is for ids without a token.
        self._spelled = tf.constant([*spelled, b""])

    def __call__(self, token_ids: tf.RaggedTensor) -> tf.Tensor:
        """Returns the text of each row of ids.

        Args:
            token_ids: int32 of shape (batch, None); ids without a token give no text.

        Returns:
            UTF-8 strings of shape (batch,); invalid bytes become U+FFFD.
        """
        spelled = token_ids.with_flat_values(self.spelled(token_ids.flat_values))
        whole = tf.strings.reduce_join(spelled, axis=-1)
        return tf.strings.unicode_transcode(whole, "UTF-8", "UTF-8", errors="replace")

    def spelled(self, token_ids: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of each token; empty for ids without a token."""
        none = tf.size(self._spelled) - 1
        known = (token_ids >= 0) & (token_ids < none)
        return tf.gather(self._spelled, tf.where(known, token_ids, none))
