"""The commands that use a run or look at something, as argparse knows them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_evaluate(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds `tfft evaluate`."""
    parser = commands.add_parser(
        "evaluate", parents=[common], help="score a run on labelled data"
    )
    parser.add_argument("run", help="the run folder")
    parser.add_argument("data", help="labelled data; of several splits, the test split")
    parser.add_argument("--on_bad_rows", choices=("error", "skip"), default="error")
    parser.add_argument(
        "--slice_by", default="", help="columns whose values are scored one by one"
    )
    parser.add_argument(
        "--report_dir", type=Path, help="also write report.json, .md and .html there"
    )
    _add_base_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_predict(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds `tfft predict`."""
    parser = commands.add_parser(
        "predict", parents=[common], help="answer for texts or for the rows of a file"
    )
    parser.add_argument("run", nargs="?", help="the run folder; none with --server")
    parser.add_argument("texts", nargs="*", help="texts")
    parser.add_argument("--file", type=Path, help="a data file with the text columns")
    parser.add_argument(
        "--server",
        metavar="URL",
        help="ask a server: http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME",
    )
    _add_base_model(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON line each")


def add_export(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds `tfft export`."""
    parser = commands.add_parser(
        "export", parents=[common], help="write a SavedModel that answers from raw text"
    )
    parser.add_argument("run", help="the run folder")
    parser.add_argument(
        "directory", help="the model's folder for TF Serving, or a new folder"
    )
    parser.add_argument(
        "--format",
        choices=("saved_model", "litert", "onnx", "huggingface"),
        default="saved_model",
        help="litert, onnx: from ids to numbers, for devices and other runtimes; "
        "huggingface: as from_pretrained of transformers loads it",
    )
    parser.add_argument(
        "--dtype",
        help="in what matrices are kept: float32, bfloat16, int8; litert: float16",
    )
    parser.add_argument(
        "--min_agreement",
        type=float,
        help="least share of rows with the run's words in another dtype (0.95)",
    )
    parser.add_argument(
        "--data", help="rows to prove it on; by default those of the training"
    )
    _add_base_model(parser)


def _add_base_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="where the base model is now, if it has moved")


def add_inspect(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds `tfft inspect`."""
    parser = commands.add_parser(
        "inspect",
        parents=[common],
        allow_abbrev=False,
        help="look at data, a run folder or a model",
        epilog="Options of a task follow a dot: --task.text body.",
    )
    parser.add_argument("path", nargs="?", help="data, or a run folder")
    parser.add_argument(
        "--task", default="text_classification", help="name of the task"
    )
    parser.add_argument(
        "--model", help="a model to look at, or to cut the data's tokens"
    )
