"""Token ids for language models, with and without special tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tfft.text.frame import frame
from tfft.text.tokenizer import Tokenizer


class TextIds(NamedTuple):
    """A text as ids, without special tokens around it.

    Attributes:
        token_ids: The ids.
        offsets: Start and end character of each token.
    """

    token_ids: list[int]
    offsets: list[tuple[int, int]]


def text_ids(
    tokenizer: Tokenizer, texts: Sequence[str], *, split_special_tokens: bool
) -> list[TextIds]:
    """Returns the ids of whole texts.

    Args:
        tokenizer: The tokenizer.
        texts: The texts.
        split_special_tokens: Whether text that spells a special token is tokenized as
            ordinary text instead of becoming that token.
    """
    library = tokenizer.library
    library.encode_special_tokens = split_special_tokens
    try:
        encoded = library.encode_batch(
            [_encodable(text) for text in texts], add_special_tokens=False
        )
    finally:
        library.encode_special_tokens = True
    return [TextIds(one.ids, one.offsets) for one in encoded]


def start_ids(tokenizer: Tokenizer) -> list[int]:
    """Returns the ids that the tokenizer puts before every text."""
    before, _ = _around(tokenizer)
    return before


def end_ids(tokenizer: Tokenizer) -> list[int]:
    """Returns the ids that end a text: the model's end token, else the tokenizer's."""
    if tokenizer.eos_id is not None:
        return [tokenizer.eos_id]
    _, after = _around(tokenizer)
    return after


def _around(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    parts = frame(tokenizer, texts=1)
    place = [part.text for part in parts].index(0)
    ids = [part.token_id for part in parts]
    return ids[:place], ids[place + 1 :]


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Returns the ids of all special tokens."""
    added = tokenizer.library.get_added_tokens_decoder()
    return {token.content: index for index, token in added.items() if token.special}


def spelled_special_tokens(tokenizer: Tokenizer) -> re.Pattern[str]:
    """Returns a pattern that finds special tokens in texts; never matches if none."""
    # Longer ones first, as in the tokenizer.
    names = sorted(special_tokens(tokenizer), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)) or r"(?!)")


def decode(tokenizer: Tokenizer, token_ids: Sequence[int]) -> str:
    """Returns the text of ids, with special tokens spelled out."""
    return tokenizer.library.decode(list(token_ids), skip_special_tokens=False)


def _encodable(text: str) -> str:
    """Replaces lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")
