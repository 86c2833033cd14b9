"""The commands that use a run or data: evaluate, predict, export, inspect."""

from __future__ import annotations

import argparse
import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfft.cli.serve import ask_server
from tfft.core.errors import ConfigError

_WIDTH = 160  # of tables in a file or a pipe
_SHOWN = 80  # characters shown of an input
_HUGGINGFACE = "huggingface"


def add_evaluate(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the parser of `tfft evaluate`."""
    parser = commands.add_parser(
        "evaluate", parents=[common], help="score a run on labeled data"
    )
    parser.add_argument("run", help="the run folder")
    parser.add_argument("data", help="labeled data, or a data set with a test split")
    parser.add_argument("--on_bad_rows", choices=("error", "skip"), default="error")
    parser.add_argument(
        "--slice_by",
        default="",
        help="columns; rows with the same value are also scored separately",
    )
    parser.add_argument(
        "--report_dir", type=Path, help="also write report.json, .md and .html there"
    )
    _add_base_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_predict(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the parser of `tfft predict`."""
    parser = commands.add_parser(
        "predict", parents=[common], help="predict for texts or for the rows of a file"
    )
    parser.add_argument(
        "run", nargs="?", help="the run folder; leave it out with --server"
    )
    parser.add_argument("texts", nargs="*", help="texts")
    parser.add_argument(
        "--file", type=Path, help="a data file with the text columns of the task"
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="ask a server: http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME",
    )
    _add_base_model(parser)
    parser.add_argument(
        "--json", action="store_true", help="print JSON, one line per input"
    )


def add_export(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the parser of `tfft export`."""
    parser = commands.add_parser(
        "export", parents=[common], help="write a SavedModel that takes raw text"
    )
    parser.add_argument("run", help="the run folder")
    parser.add_argument(
        "directory", help="the model's folder for TF Serving, or a new folder"
    )
    parser.add_argument(
        "--format",
        choices=("saved_model", "litert", "onnx", "huggingface"),
        default="saved_model",
        help="litert, onnx: token ids in, numbers out, for devices and other runtimes; "
        "huggingface: a folder for from_pretrained of transformers",
    )
    parser.add_argument(
        "--dtype",
        help="dtype of the stored matrices: float32, bfloat16, int8; litert: float16",
    )
    parser.add_argument(
        "--min_agreement",
        type=float,
        help="smallest share of rows on which another dtype gives the same answer as "
        "the run (0.95)",
    )
    parser.add_argument(
        "--data",
        help="rows to verify the export with; defaults to rows of the training data",
    )
    _add_base_model(parser)


def _add_base_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", help="the new place of the base model, if it has moved"
    )


def add_inspect(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the parser of `tfft inspect`."""
    parser = commands.add_parser(
        "inspect",
        parents=[common],
        allow_abbrev=False,
        help="show data, a run folder or a model",
        epilog="Options of a task follow a dot: --task.text body.",
    )
    parser.add_argument("path", nargs="?", help="data, or a run folder")
    parser.add_argument(
        "--task", default="text_classification", help="name of the task"
    )
    parser.add_argument(
        "--model",
        help="a model to show, or the model whose tokenizer splits the data",
    )


def run_evaluate(arguments: Namespace) -> int:
    """Runs `tfft evaluate` and returns its exit code."""
    from tfft.runs.load import load

    run = load(arguments.run, arguments.model)
    columns = [name for name in arguments.slice_by.split(",") if name]
    report = run.evaluate(arguments.data, arguments.on_bad_rows, columns)
    if arguments.report_dir:
        from tfft.evaluation.page import draw_all
        from tfft.runs.report_files import write_report_files

        reports, title = {"given": report}, f"{run.task.name} · {arguments.data}"
        write_report_files(arguments.report_dir, reports, title, draw_all(reports))
    if arguments.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        _show(report.all_tables())
        for note in report.notes:
            print(f"note: {note}")
    return 0


def run_predict(arguments: Namespace) -> int:
    """Runs `tfft predict` and returns its exit code.

    Raises:
        ConfigError: Without inputs, or with texts and a file.
    """
    if arguments.server and arguments.run is not None:
        # With a server there is no run: the first argument is a text too.
        arguments.texts = [arguments.run, *arguments.texts]
    if bool(arguments.texts) == bool(arguments.file):
        raise ConfigError(
            "texts and --file are both given"
            if arguments.file
            else "nothing to predict",
            expected="texts, or --file with a data file",
            fix='for example: tfft predict RUN "some text"',
        )
    if arguments.server:
        inputs, answers = ask_server(arguments.server, arguments.texts, arguments.file)
    else:
        inputs, answers = _ask_run(arguments)
    if arguments.json:
        for answer in answers:
            print(json.dumps(answer, ensure_ascii=False))
        return 0
    from tfft.evaluation.tables import ReportTable

    names = [key for key, value in answers[0].items() if not isinstance(value, dict)]
    rows = tuple(
        (_beginning(given), *(_cell(answer[name]) for name in names))
        for given, answer in zip(inputs, answers, strict=True)
    )
    _show([ReportTable("predictions", ("input", *names), rows)])
    return 0


def _ask_run(arguments: Namespace) -> tuple[list[Any], list[dict[str, Any]]]:
    """Returns the inputs for a run, and its answers."""
    from tfft.runs.load import load

    if arguments.run is None:
        raise ConfigError(
            "no run is given", fix='for example: tfft predict RUN "some text"'
        )
    run = load(arguments.run, arguments.model)
    if run.task.generates:
        inputs = arguments.file or list(arguments.texts)
        # The same names as in the answers of a SavedModel.
        answers = [
            {"completion": one.text, "finish": one.finish}
            for one in run.generate(inputs)
        ]
    else:
        inputs = arguments.file or _grouped(arguments.texts, run.task.text)
        answers = run.predict(inputs)
    if arguments.file:
        return [f"row {i + 1}" for i in range(len(answers))], answers
    return inputs, answers


def _grouped(texts: Sequence[str], columns: Sequence[str]) -> list[Any]:
    """Returns the texts, in tuples for a task with several text columns.

    Raises:
        ConfigError: When their number is not a multiple of the number of columns.
    """
    size = len(columns)
    if len(texts) % size:
        raise ConfigError(
            f"{len(texts)} texts are given",
            expected=f"{' and '.join(columns)} in turn",
            fix="give a text for each of them",
        )
    if size == 1:
        return list(texts)
    return [tuple(texts[i : i + size]) for i in range(0, len(texts), size)]


def _cell(value: Any) -> str:
    """Returns a value of an answer as text."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dict):
        return " ".join(_cell(one) for one in value.values())
    if isinstance(value, list | tuple):
        return " | ".join(_cell(one) for one in value)
    return str(value)


def _beginning(value: Any) -> str:
    """Returns the beginning of an input as text."""
    shown = _cell(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


def run_export(arguments: Namespace) -> int:
    """Runs `tfft export` and returns its exit code.

    Raises:
        ConfigError: For options that the format does not have.
    """
    from tfft.runs.load import load

    names = ("data", "dtype", "min_agreement")
    given = {name: getattr(arguments, name) for name in names}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.format == _HUGGINGFACE and options:
        raise ConfigError(
            f"--{next(iter(options))} with --format {_HUGGINGFACE}",
            where="tfft export",
            expected="another format, which is verified before it is written",
            fix="leave it out",
        )
    run = load(arguments.run, arguments.model)
    if arguments.format == _HUGGINGFACE:
        written = run.export_huggingface(arguments.directory)
    else:
        written = run.export(arguments.directory, format=arguments.format, **options)
    print(f"exported: {written}")
    return 0


def run_inspect(arguments: Namespace) -> int:
    """Runs `tfft inspect` and returns its exit code: 65 when it finds bad rows."""
    from tfft.recipes.inspect import inspect_data, inspect_model, inspect_run

    if arguments.path is None and arguments.model is None:
        raise ConfigError(
            "nothing to inspect", fix="give data, a run folder or --model"
        )
    if arguments.path is None:
        found = inspect_model(arguments.model)
    elif (Path(arguments.path) / "run.json").is_file():
        found = inspect_run(arguments.path)
    else:
        found = inspect_data(arguments.path, arguments.task, arguments.model)
    _show(found.tables)
    for note in found.notes:
        print(f"note: {note}")
    for problem in found.problems:
        print(problem)
    return 65 if found.problems else 0


def _show(tables: Sequence[Any]) -> None:
    from rich.console import Console

    # In a file or a pipe the width is not limited by a terminal.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for table in tables:
        console.print(table.to_rich())
