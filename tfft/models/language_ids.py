"""Ids of what a language model reads: parts of texts, with or without a template."""

from __future__ import annotations

from collections.abc import Sequence

from tfft.models.tokenizer import Tokenizer


def start_ids(tokenizer: Tokenizer) -> list[int]:
    """Returns what the tokenizer puts before every text."""
    return list(tokenizer.library.encode("").ids)


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Returns the ids of the tokens that stand for no text."""
    added = tokenizer.library.get_added_tokens_decoder()
    return {token.content: index for index, token in added.items() if token.special}


def plain_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Returns the ids of parts of texts, with nothing around them."""
    encoded = tokenizer.library.encode_batch(
        [_encodable(text) for text in texts], add_special_tokens=False
    )
    return [one.ids for one in encoded]


def template_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Returns the ids of what a chat template wrote, whose special tokens count."""
    tokenizer.library.encode_special_tokens = False
    try:
        return plain_ids(tokenizer, texts)
    finally:
        tokenizer.library.encode_special_tokens = True


def decode(tokenizer: Tokenizer, token_ids: Sequence[int]) -> str:
    """Returns the text of ids, special tokens spelled out."""
    return tokenizer.library.decode(list(token_ids), skip_special_tokens=False)


def _encodable(text: str) -> str:
    """Replaces halves of characters, which no UTF-8 text can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
