"""`tfft`: runs a command; an error becomes one line and an exit code."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence

from tfft.cli.launch import run_launch
from tfft.cli.parser import parse
from tfft.cli.series import SERIES, run_ensemble, run_series
from tfft.cli.serve import run_serve
from tfft.cli.using import run_evaluate, run_export, run_inspect, run_predict
from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, TfftError
from tfft.core.signals import TerminationSignal
from tfft.core.start import start_tensorflow

_INTERRUPTED, _TERMINATED = 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The arguments. Defaults to those of the process.

    Returns:
        The exit code: 0 for success, 1 for a bug, 2 for invalid options, 65 for
        unusable data, 66 for missing input, 69 for a server that does not answer, 71
        for too little memory, 73 for a run folder in use, 74 for a failed write, 75
        for a dead worker, 76 for a loss that is not a number, 130 and 143 for signals.
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
        # The reader of the output has closed it. Without this Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a bug: one line for the user, the rest with --debug
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
    """Raises when required options are missing."""
    missing = [f"--{name}" for name in sorted(names) if name not in arguments.options]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not given",
            fix=f"see tfft {arguments.command} --help",
        )


_COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "finetune": _finetune,
    "estimate": _estimate,
    "tune": _tune,
    "evaluate": run_evaluate,
    "predict": run_predict,
    "export": run_export,
    "serve": run_serve,
    "inspect": run_inspect,
    "launch": run_launch,
    **dict.fromkeys(SERIES, _series),
    "ensemble": run_ensemble,
}
