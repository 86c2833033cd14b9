"""Notes for users about the tokens of their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tfft.data.table import Table
from tfft.tasks.encoded import Encoded
from tfft.tasks.task import Task
from tfft.text.language_ids import special_tokens, spelled_special_tokens
from tfft.text.tokenizer import Tokenizer

# A smaller share is emojis and rare signs, which a text can do without.
_TOLERATED = 0.05
_SHOWN = 3


def notes_on_tokens(
    task: Task, table: Table, encoded: Encoded, tokenizer: Tokenizer
) -> list[str]:
    """Returns notes about the ids of rows."""
    ids = encoded.examples.sequences["token_ids"]
    notes = [*encoded.notes, *unknown_note(ids, tokenizer)]
    if task.generates:  # these tasks count special tokens themselves
        return notes
    return [*notes, *spelled_note(task.texts(table), tokenizer)]


def unknown_note(sequences: Sequence[Sequence[int]], tokenizer: Tokenizer) -> list[str]:
    """Returns a note when too many tokens are unknown to the model.

    Args:
        sequences: Token ids. Special tokens other than the unknown token do not count.
        tokenizer: The model's tokenizer. A byte-level one knows every text.
    """
    roles = dict(tokenizer.roles)
    name = roles.pop("unk", None)
    unknown = None if name is None else tokenizer.library.token_to_id(name)
    # GPT-2 has its end token here, since its bytes know every text.
    if unknown is None or name in roles.values():
        return []
    framing = [one for one in special_tokens(tokenizer).values() if one != unknown]
    ids = np.fromiter((one for row in sequences for one in row), "int64")
    counted = ids[~np.isin(ids, framing)]
    found = int((counted == unknown).sum())
    if found <= _TOLERATED * len(counted):
        return []
    share = f"{found:,} of {len(counted):,} tokens ({found / len(counted):.0%})"
    return [
        f"{share} are {name}: the model does not know these words or this script; "
        "choose a model for the language of the texts"
    ]


def spelled_note(texts: Iterable[Sequence[str]], tokenizer: Tokenizer) -> list[str]:
    """Returns a note when texts spell special tokens that have no role.

    Most of these are marks that users added for their own texts, such as `[USER]`. A
    text never becomes a special token here, so these are read as letters. For tokens
    with a role, such as `[SEP]`, that is intended.

    Args:
        texts: The texts of each row.
        tokenizer: The model's tokenizer.
    """
    marks = {*special_tokens(tokenizer)} - {*tokenizer.roles.values()}
    if not marks:
        return []
    pattern = spelled_special_tokens(tokenizer)
    spelled = [marks & {*pattern.findall("\n".join(row))} for row in texts]
    rows = Counter(mark for row in spelled for mark in row)
    if not rows:
        return []
    names = [mark for mark, _ in rows.most_common(_SHOWN)]
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return [
        f"{sum(map(bool, spelled)):,} of {len(spelled):,} rows spell special tokens "
        f"({', '.join(names)}{more}), which are read as letters; to read them as "
        'tokens, set their "special" to false in tokenizer.json'
    ]
