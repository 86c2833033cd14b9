"""`tfft`: runs a command and turns its errors into one line and an exit code."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfft.cli.launch import run_launch
from tfft.cli.parser import parse
from tfft.cli.series import SERIES, run_ensemble, run_series
from tfft.cli.serve import ask_server, run_serve
from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, TfftError
from tfft.core.signals import TerminationSignal
from tfft.core.start import start_tensorflow

_INTERRUPTED, _TERMINATED = 130, 143
_WIDE = 160
_ASKED = 80  # characters shown of a text that was asked about
_HUGGINGFACE = "huggingface"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The arguments; those of the process when None.

    Returns:
        The exit code: 0 when all went well, 2 for options that cannot be meant, 65
        for unusable data, 66 for missing input, 69 for a server without an answer,
        71 for too little memory, 73 for a run folder in use, 74 for a disk that
        refuses, 75 for a worker that is gone, 76 for a loss that is no number, 130
        and 143 for signals, 1 for a bug.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = parse(argv)
        check_environment()
        if arguments.debug:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
        elif _needs_tensorflow(arguments):
            start_tensorflow()
        return _COMMANDS[arguments.command](arguments)
    except TfftError as error:
        return _fail(argv, f"error: {error}", error.exit_code)
    except KeyboardInterrupt as signal:
        ended = isinstance(signal, TerminationSignal)
        return _fail(argv, "error: stopped", _TERMINATED if ended else _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a bug: one line for the user, the rest by --debug
        name = type(error).__name__
        text = f"bug: {name}: {error} · fix: please report it with --debug's output"
        return _fail(argv, text, 1)


def _needs_tensorflow(arguments: Namespace) -> bool:
    if arguments.command == "predict" and arguments.server:
        return arguments.server.startswith("grpc:")
    return arguments.command != "launch"


def _fail(argv: Sequence[str], text: str, code: int) -> int:
    if "--debug" in argv:
        traceback.print_exc()
    print(" ".join(text.splitlines()), file=sys.stderr)
    return code


def _finetune(arguments: Namespace) -> int:
    from tfft.recipes.finetune import finetune

    _expect(arguments, "model", "data", "output_dir")
    finetune(**arguments.options)
    return 0


def _series(arguments: Namespace) -> int:
    _expect(arguments, "model", "data", "output_dir")
    return run_series(arguments)


def _estimate(arguments: Namespace) -> int:
    from tfft.recipes.estimate import estimate

    _expect(arguments, "model", "data")
    found = estimate(**arguments.options)
    print(json.dumps(dataclasses.asdict(found)) if arguments.json else found)
    return 0


def _tune(arguments: Namespace) -> int:
    from tfft.recipes.tune import tune

    _expect(arguments, "model", "data", "output_dir", "space")
    tune(**arguments.options)
    return 0


def _expect(arguments: Namespace, *names: str) -> None:
    """Refuses a command without the options it cannot do without."""
    missing = [f"--{name}" for name in sorted(names) if name not in arguments.options]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not given",
            fix=f"see tfft {arguments.command} --help",
        )


def _evaluate(arguments: Namespace) -> int:
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


def _predict(arguments: Namespace) -> int:
    if arguments.server and arguments.run is not None:
        # Without a run the first word is a text as well.
        arguments.texts = [arguments.run, *arguments.texts]
    if bool(arguments.texts) == bool(arguments.file):
        raise ConfigError(
            "texts and --file are both given"
            if arguments.file
            else "nothing to predict",
            expected="texts, or --file with a data file",
            fix='say for example: tfft predict RUN "some text"',
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
        (_asked(given), *(_cell(answer[name]) for name in names))
        for given, answer in zip(inputs, answers, strict=True)
    )
    _show([ReportTable("predictions", ("input", *names), rows)])
    return 0


def _ask_run(arguments: Namespace) -> tuple[list[Any], list[dict[str, Any]]]:
    """Returns what was asked of a run, and its answers."""
    from tfft.runs.load import load

    if arguments.run is None:
        raise ConfigError(
            "no run is given", fix='say for example: tfft predict RUN "some text"'
        )
    run = load(arguments.run, arguments.model)
    if run.task.generates:
        inputs = arguments.file or list(arguments.texts)
        # In the words of a SavedModel's answers.
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
    """Returns texts, or tuples of them for a task with several text columns.

    Raises:
        ConfigError: When they do not come out even.
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
    """Returns a value of an answer as text, whole."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dict):
        return " ".join(_cell(one) for one in value.values())
    if isinstance(value, list | tuple):
        return " | ".join(_cell(one) for one in value)
    return str(value)


def _asked(value: Any) -> str:
    """Returns what was asked, and no more of it than tells it from the others."""
    shown = _cell(value)
    return shown if len(shown) <= _ASKED else f"{shown[: _ASKED - 1]}…"


def _export(arguments: Namespace) -> int:
    from tfft.runs.load import load

    names = ("data", "dtype", "min_agreement")
    given = {name: getattr(arguments, name) for name in names}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.format == _HUGGINGFACE and options:
        raise ConfigError(
            f"--{next(iter(options))} with --format {_HUGGINGFACE}",
            where="tfft export",
            expected="another format, which is proved before it is written",
            fix="leave it out",
        )
    run = load(arguments.run, arguments.model)
    if arguments.format == _HUGGINGFACE:
        written = run.export_huggingface(arguments.directory)
    else:
        written = run.export(arguments.directory, format=arguments.format, **options)
    print(f"exported: {written}")
    return 0


def _inspect(arguments: Namespace) -> int:
    from tfft.recipes.inspect import inspect_data, inspect_model, inspect_run

    if arguments.path is None and arguments.model is None:
        raise ConfigError("nothing to inspect", fix="name data, a run or --model")
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

    # In a file or a pipe there is no edge to cut a wide table at.
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for table in tables:
        console.print(table.to_rich())


_COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "finetune": _finetune,
    "estimate": _estimate,
    "tune": _tune,
    "evaluate": _evaluate,
    "predict": _predict,
    "export": _export,
    "serve": run_serve,
    "inspect": _inspect,
    "launch": run_launch,
    **dict.fromkeys(SERIES, _series),
    "ensemble": run_ensemble,
}
