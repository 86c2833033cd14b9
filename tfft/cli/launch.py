"""`tfft launch`: one training in several processes on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tfft.cli.cluster import launch
from tfft.core.errors import ConfigError


def add_launch(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the parser of `tfft launch`."""
    parser = commands.add_parser(
        "launch",
        parents=[common],
        help="run tfft finetune in several local processes",
        usage="tfft launch --workers N finetune …",
    )
    parser.add_argument(
        "--workers", type=int, required=True, help="number of processes"
    )
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="finetune and its options"
    )


def check_launch(workers: int, rest: Sequence[str]) -> None:
    """Raises for a command that cannot be launched.

    Raises:
        ConfigError: For fewer than one worker, or a command other than finetune.
    """
    if workers < 1:
        raise ConfigError(
            f"--workers {workers}", expected="1 or more", fix="change --workers"
        )
    if rest[:1] != ["finetune"]:
        raise ConfigError(
            f"tfft launch runs {rest[0] if rest else 'nothing'}",
            expected="finetune after the options of launch",
            fix="for example: tfft launch --workers 2 finetune --config run.yaml",
        )


def run_launch(arguments: argparse.Namespace) -> int:
    """Runs the processes and returns the common exit code."""
    command = [sys.executable, "-m", "tfft", *arguments.rest]
    return launch([*command, "--strategy", "multi_worker"], arguments.workers)
