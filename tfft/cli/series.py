"""The commands that train several times, and `tfft ensemble`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.series_config import (
    CrossValidateConfig,
    LearningCurveConfig,
    RepeatConfig,
)

# For each command: its own options, its recipe, and its help.
SERIES: dict[str, tuple[type, str, str]] = {
    "cross-validate": (
        CrossValidateConfig,
        "cross_validate",
        "train once per fold, and test on every row once",
    ),
    "learning-curve": (
        LearningCurveConfig,
        "learning_curve",
        "train on more and more rows, to see whether more data would help",
    ),
    "repeat": (RepeatConfig, "repeat", "train with several seeds, and show the spread"),
}


def add_series(
    commands: Any,
    common: argparse.ArgumentParser,
    add_options: Callable[..., None],
    epilog: str,
) -> None:
    """Adds the commands to a parser's commands.

    Args:
        commands: The subparsers to add to.
        common: The options of all commands.
        add_options: Adds the options of configuration classes.
        epilog: The end of the help text.
    """
    for name, (config, _, purpose) in SERIES.items():
        parser = commands.add_parser(
            name, parents=[common], allow_abbrev=False, help=purpose, epilog=epilog
        )
        add_options(parser, config, FinetuneConfig)
    _add_ensemble(commands, common)


def run_series(arguments: argparse.Namespace) -> int:
    """Runs a command that trains several times and returns its exit code."""
    recipe = SERIES[arguments.command][1]
    module = importlib.import_module(f"tfft.recipes.{recipe}")
    getattr(module, recipe)(**arguments.options)
    return 0


def _add_ensemble(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "ensemble",
        parents=[common],
        allow_abbrev=False,
        help="combine several runs into one model",
    )
    parser.add_argument("runs", nargs="+", help="the run folders, two or more")
    parser.add_argument(
        "--how",
        default="average",
        help="average, vote, or soup (the average of the weights)",
    )
    parser.add_argument("--data", help="rows to score the ensemble and its members on")
    parser.add_argument("--metric", help="the metric that decides which member is best")
    parser.add_argument("--on_bad_rows", choices=("error", "skip"), default="error")
    parser.add_argument("--output_dir", help="the run folder of a soup")
    parser.add_argument("--rank", type=int, help="the rank of a soup of LoRA runs")
    parser.add_argument(
        "--export",
        type=Path,
        help="write one SavedModel to this folder",
    )
    parser.add_argument(
        "--model", help="the new place of the base model, if it has moved"
    )


def run_ensemble(arguments: argparse.Namespace) -> int:
    """Runs `tfft ensemble` and returns its exit code.

    Raises:
        ConfigError: Without --data, --export and --output_dir.
    """
    if not (arguments.data or arguments.export or arguments.output_dir):
        raise ConfigError(
            "nothing to do with the ensemble",
            expected="--data, --export or --output_dir",
            fix="give --data test.csv to score it",
        )
    from tfft.recipes.ensemble import ensemble

    names = ("how", "data", "metric", "output_dir", "rank", "model", "on_bad_rows")
    options = {name: getattr(arguments, name) for name in names}
    made = ensemble(arguments.runs, **options)
    if arguments.export:
        print(f"exported: {made.export(arguments.export)}")
    return 0
