"""Sentences as transformers' Trainer expects them, and its logits as word tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqeval.metrics import f1_score

from bench_peers.sentences import TAGS

_IGNORED = -100


def encode(tokenizer: Any, rows: Sequence[dict], max_length: int) -> list[dict]:
    """Returns the ids, and each word's tag at its first token."""
    encoded = tokenizer(
        [row["tokens"] for row in rows],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
    )
    return [
        {
            **{name: column[at] for name, column in encoded.items()},
            "labels": _on_first_tokens(row["ner_tags"], encoded.word_ids(at)),
        }
        for at, row in enumerate(rows)
    ]


def _on_first_tokens(tags: Sequence[str], words: Sequence[int | None]) -> list[int]:
    return [
        _IGNORED if word is None or word == before else TAGS.index(tags[word])
        for before, word in zip([None, *words], words, strict=False)
    ]


def tags_of(logits: Any, labels: Any) -> tuple[list[list[str]], list[list[str]]]:
    """Returns the true and the most likely tag of each word, by sentence.

    Args:
        logits: An array of shape (rows, tokens, tags).
        labels: An array of shape (rows, tokens), negative where no word begins.
    """
    gold, found = [], []
    for predicted, right in zip(logits.argmax(-1), labels, strict=True):
        words = right != _IGNORED
        gold.append([TAGS[one] for one in right[words]])
        found.append([TAGS[one] for one in predicted[words]])
    return gold, found


def entity_f1(logits: Any, labels: Any) -> float:
    """Returns seqeval's F1 of the entities."""
    return float(f1_score(*tags_of(logits, labels)))
