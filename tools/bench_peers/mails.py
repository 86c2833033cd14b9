"""The mails of the classification jobs, for all peers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench_peers.peer import read_lines

MAX_LENGTH = 256
LABELS = ("ham", "spam")
_TEST = 400


def mails(assets: Path, count: int) -> tuple[list[dict], list[dict]]:
    """Returns mails to train on and at most as many mails to score."""
    train = read_lines(assets / "spam" / "train.jsonl")[:count]
    return train, read_lines(assets / "spam" / "test.jsonl")[: min(count, _TEST)]


def macro_f1(predicted: Any, rows: list[dict]) -> float:
    """Returns the mean F1 over the labels.

    Args:
        predicted: The label's number for each row.
        rows: The mails.
    """
    from sklearn.metrics import f1_score

    gold = [LABELS.index(row["label"]) for row in rows]
    return float(f1_score(gold, predicted, average="macro"))
