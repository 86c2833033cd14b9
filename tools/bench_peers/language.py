"""The options and rows of the language model jobs, for all peers."""

from __future__ import annotations

import argparse

from bench_peers.peer import parser, read_lines

_HELD_OUT = 32  # rows that are not trained on
_LONGEST = 512


def language_parser() -> argparse.ArgumentParser:
    """Returns the arguments of the scripts."""
    made = parser()
    made.add_argument("--model", required=True)
    made.add_argument("--batch_size", type=int, default=8, help="rows in a step")
    made.add_argument("--learning_rate", type=float, default=1e-3)
    made.add_argument(
        "--length", type=int, help="number of tokens in each row, made up"
    )
    return made


def longest(options: argparse.Namespace) -> int:
    """Returns the maximum number of tokens in a row."""
    return options.length or _LONGEST


def language_rows(options: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """Returns rows to train on and held-out rows, prompts with completions.

    There are never more held-out rows than training rows.
    """
    count = options.rows
    held_out = min(count, _HELD_OUT)
    if options.length:
        # One token for each word, and one that ends the text.
        row = {"prompt": "a", "completion": " a" * (options.length - 2)}
        return [row] * count, [row] * held_out
    rows = read_lines(options.assets / "alpaca" / "rows.jsonl")
    return rows[_HELD_OUT : _HELD_OUT + count], rows[:held_out]
