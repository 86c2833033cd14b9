"""Prediction from raw texts, for all peers."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench_peers.mails import LABELS
from bench_peers.peer import finish, peak_gb, read_lines

BATCH = 32
Answer = tuple[str, float]


def measure(
    given: argparse.Namespace,
    answer: Callable[[Sequence[str]], list[Answer]],
    settings: dict[str, Any],
) -> None:
    """Predicts twice, and prints the figures of the second time.

    Args:
        given: The arguments.
        answer: Returns the label and score of each text.
        settings: The settings to report for the peer.
    """
    rows = read_lines(given.assets / "spam" / "test.jsonl")[: given.rows]
    texts = [row["text"] for row in rows]
    answer(texts)
    start = time.perf_counter()
    found = answer(texts)
    seconds = time.perf_counter() - start
    right = sum(one[0] == row["label"] for one, row in zip(found, rows, strict=True))
    finish(
        work={
            "rows": len(texts),
            "labelled_spam": sum(label == LABELS[1] for label, _ in found),
            "precision": "float32",
        },
        figures={
            "texts_per_second": len(texts) / seconds,
            "seconds": seconds,
            "peak_gb": peak_gb(),
        },
        quality={
            "accuracy": right / len(texts),
            "mean_score": statistics.fmean(score for _, score in found),
        },
        settings={"batches": f"{BATCH} texts", **settings},
    )
