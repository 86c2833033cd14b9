"""The sentences of the tagging job, for all peers."""

from __future__ import annotations

from pathlib import Path

KINDS = ("PER", "ORG", "LOC", "MISC")
TAGS = ("O", *(f"{start}-{kind}" for kind in KINDS for start in "BI"))
_TEST = 1000


def sentences(assets: Path, count: int) -> tuple[list[dict], list[dict]]:
    """Returns sentences to train on and sentences to score: tokens, and IOB2 tags."""
    train, test = (
        read_conll(assets / "conll" / f"{split}.txt") for split in ("train", "test")
    )
    return train[:count], test[: min(count, _TEST)]


def iob2(tags: list[str]) -> list[str]:
    """Returns IOB1 tags as IOB2, where every span starts with a B.

    >>> iob2(["I-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    ['B-PER', 'I-PER', 'O', 'B-LOC', 'B-LOC']
    """
    found = []
    for before, tag in zip(["O", *tags], tags, strict=False):
        goes_on = tag[0] == "I" and before != "O" and before[2:] == tag[2:]
        found.append(tag if tag == "O" or goes_on else f"B-{tag[2:]}")
    return found


def read_conll(path: Path) -> list[dict]:
    """Returns the sentences of a CoNLL file, using its first and last columns."""
    rows = []
    for block in path.read_text("utf-8").split("\n\n"):
        words = [line.split() for line in block.splitlines() if line.strip()]
        if words and words[0][0] != "-DOCSTART-":
            tags = iob2([word[-1] for word in words])
            rows.append({"tokens": [word[0] for word in words], "ner_tags": tags})
    return rows
