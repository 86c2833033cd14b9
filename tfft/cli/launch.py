"""`tfft launch`: one training in several processes of this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tfft.cli.cluster import launch
from tfft.core.errors import ConfigError


def add_launch(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "launch",
        parents=[common],
        help="run tfft finetune in several local processes",
        usage="tfft launch --workers N finetune …",
    )
    parser.add_argument(
        "--workers", type=int, required=True, help="how many processes train together"
    )
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="finetune, and its options"
    )


def check_launch(workers: int, rest: Sequence[str]) -> None:
    """Raises for what cannot be launched.

    Raises:
        ConfigError: For fewer than one worker, or another command than finetune.
    """
    if workers < 1:
        raise ConfigError(f"--workers {workers}", expected="1 or more")
    if rest[:1] != ["finetune"]:
        raise ConfigError(
            f"tfft launch runs {rest[0] if rest else 'nothing'}",
            expected="finetune after the options of launch",
            fix="say for example: tfft launch --workers 2 finetune --config run.yaml",
        )


def run_launch(arguments: argparse.Namespace) -> int:
    """Runs the processes and returns their exit code."""
    command = [sys.executable, "-m", "tfft", *arguments.rest]
    return launch([*command, "--strategy", "multi_worker"], arguments.workers)
