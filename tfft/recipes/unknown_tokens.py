"""Texts that a model's vocabulary does not cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfft.models.tokenizer import Tokenizer

# Fewer are emojis and rare signs, without which a text is understood.
_TOLERATED = 0.05


def unknown_note(sequences: Sequence[Sequence[int]], tokenizer: Tokenizer) -> list[str]:
    """Returns a sentence when too many tokens of texts are unknown to a model.

    Args:
        sequences: Token ids. Special tokens beside the unknown one do not count.
        tokenizer: The model's; one of bytes knows every text.
    """
    roles = dict(tokenizer.roles)
    name = roles.pop("unk", None)
    unknown = None if name is None else tokenizer.library.token_to_id(name)
    # GPT-2 names the end of a text here, for its bytes know every text.
    if unknown is None or name in roles.values():
        return []
    special = tokenizer.library.get_added_tokens_decoder()
    framing = [id_ for id_, one in special.items() if one.special and id_ != unknown]
    ids = np.fromiter((one for row in sequences for one in row), "int64")
    counted = ids[~np.isin(ids, framing)]
    found = int((counted == unknown).sum())
    if found <= _TOLERATED * len(counted):
        return []
    share = f"{found:,} of {len(counted):,} tokens ({found / len(counted):.0%})"
    return [
        f"{share} are {name}: the model does not know these words or this writing; "
        "choose a model of the texts' language"
    ]
