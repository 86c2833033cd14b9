"""Finds the special tokens around the texts of a row by asking the tokenizer."""

from __future__ import annotations

from typing import NamedTuple

from tfft.core.errors import DataError
from tfft.text.tokenizer import Tokenizer


class FramePart(NamedTuple):
    """A special token, or the position of a text.

    Attributes:
        text: 0 for the first text, 1 for the second, None for a special token.
        token_id: The special token's id; -1 for a text.
        segment_id: The segment id of its tokens.
    """

    text: int | None
    token_id: int
    segment_id: int


def frame(tokenizer: Tokenizer, texts: int) -> list[FramePart]:
    """Returns the tokens that a tokenizer puts before, between and after texts.

    Args:
        tokenizer: The tokenizer.
        texts: 1 for single texts, 2 for pairs.

    Raises:
        DataError: When the tokenizer changes the order of the texts.

    >>> from tfft.models.tokenizer_files import word_piece
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"]
    >>> [tuple(part) for part in frame(word_piece(words), texts=1)]
    [(None, 2, 0), (0, -1, 0), (None, 3, 0)]
    """
    encoded = tokenizer.library.encode(*[_some_text(tokenizer)] * texts)
    parts: list[FramePart] = []
    for text, token_id, segment_id in zip(
        encoded.sequence_ids, encoded.ids, encoded.type_ids, strict=True
    ):
        if text is None:
            parts.append(FramePart(None, token_id, segment_id))
        elif not parts or parts[-1].text != text:
            parts.append(FramePart(text, -1, segment_id))
    order = [part.text for part in parts if part.text is not None]
    if order != list(range(texts)):
        raise DataError(
            f"the tokenizer puts {texts} texts in the order {order}",
            expected="each text once, the first before the second",
            fix="use a tokenizer that keeps this order",
        )
    return parts


def _some_text(tokenizer: Tokenizer) -> str:
    """Returns a text with at least one token.

    Raises:
        DataError: When every text tried has no tokens.
    """
    library = tokenizer.library
    for text in ("a", *(library.decode([i]) for i in library.get_vocab().values())):
        if library.encode(text, add_special_tokens=False).ids:
            return text
    raise DataError("no text gets any token", fix="check the tokenizer files")
