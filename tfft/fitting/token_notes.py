"""What users should know about the tokens that their texts became."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tfft.data.table import Table
from tfft.tasks.encoded import Encoded
from tfft.tasks.task import Task
from tfft.text.language_ids import special_tokens, spelled_special_tokens
from tfft.text.tokenizer import Tokenizer

# Fewer are emojis and rare signs, without which a text is understood.
_TOLERATED = 0.05
_SHOWN = 3


def notes_on_tokens(
    task: Task, table: Table, encoded: Encoded, tokenizer: Tokenizer
) -> list[str]:
    """Returns what users should know about the ids of rows, a sentence each."""
    ids = encoded.examples.sequences["token_ids"]
    notes = [*encoded.notes, *unknown_note(ids, tokenizer)]
    if task.generates:  # such a task has an option for special tokens, and counts them
        return notes
    return [*notes, *spelled_note(task.texts(table), tokenizer)]


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
    framing = [one for one in special_tokens(tokenizer).values() if one != unknown]
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


def spelled_note(texts: Iterable[Sequence[str]], tokenizer: Tokenizer) -> list[str]:
    """Returns a sentence when texts spell special tokens that have no role.

    These are mostly marks that users added for their own texts, such as `[USER]`. Texts
    never become special tokens here, so they are read as letters. Those with a role,
    such as `[SEP]`, are meant to be.

    Args:
        texts: The texts of each row.
        tokenizer: The model's.
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
