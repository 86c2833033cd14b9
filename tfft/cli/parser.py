"""The parser of the command line; imports no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tfft.cli.launch import add_launch, check_launch
from tfft.cli.series import SERIES, add_series
from tfft.cli.serve import add_serve_options
from tfft.cli.using import add_evaluate, add_export, add_inspect, add_predict
from tfft.core import yaml
from tfft.core.config import aliases_of, field_types
from tfft.core.docstrings import descriptions
from tfft.core.errors import ConfigError, nearest, one_of
from tfft.core.foreign_names import foreign_name_fix
from tfft.fitting.config import FinetuneConfig
from tfft.serving.server.config import ServeConfig
from tfft.tuning.config import TuneConfig
from tfft.version import __version__

_GROUPS = ("method", "task", "space")
_PYTHON_ONLY = ("tokenizer", "callbacks", "space")
_FLAGS = ("overwrite", "resume")
_TRAININGS = {
    "finetune": (FinetuneConfig,),
    "estimate": (FinetuneConfig,),
    "tune": (TuneConfig, FinetuneConfig),
    **{name: (one[0], FinetuneConfig) for name, one in SERIES.items()},
}
_DOTTED = (
    "Options of a method or a task follow a dot: --method.rank 4 --task.text body."
)


class _Parser(argparse.ArgumentParser):
    """A parser that raises tfft's errors and names the nearest option.

    Attributes:
        aliases: Names that the Python API and YAML files accept for an option.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.aliases: dict[str, str] = {}

    def error(self, message: str) -> NoReturn:
        words = re.findall(r"'([^']*)'", message)
        choices = words[1:] if "invalid choice" in message else self._names()
        fix = nearest(words[0] if words else "", choices)
        raise ConfigError(message, fix=fix or f"see {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses the arguments.

        Raises:
            ConfigError: For the first argument that no option takes.
        """
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].split("=", 1)[0]
            kind = "unknown option" if name[:1] == "-" else "one argument too many:"
            raise ConfigError(f"{kind} {name}", where=self.prog, fix=self._fix(name))
        return found, unknown

    def _fix(self, name: str) -> str:
        plain = name.lstrip("-").replace("-", "_")
        if plain in self.aliases:
            return f"use --{self.aliases[plain]}"
        answer = foreign_name_fix(plain) if self.aliases else ""
        near = nearest(name, self._names())
        return answer or near or f"see {self.prog} --help"

    def _names(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of `tfft`."""
    parser = _Parser(
        prog="tfft",
        description="Fine-tunes BERT- and GPT-2-class language models in Keras on "
        "TensorFlow.",
    )
    parser.add_argument("--version", action="version", version=f"tfft {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    trainings = (_finetune, _estimate, _tune)
    others = (add_evaluate, add_predict, add_export, _serve, add_inspect, add_launch)
    for add in (*trainings, *others):
        add(commands, common)
    add_series(commands, common, _add_options, _DOTTED)
    return parser


def _finetune(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "finetune",
        parents=[common],
        allow_abbrev=False,
        help="fine-tune a model on data and write a run folder",
        epilog=_DOTTED,
    )
    _add_options(parser)


def _estimate(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "estimate",
        parents=[common],
        allow_abbrev=False,
        help="estimate memory and time of a fine-tuning without running it",
        epilog=_DOTTED,
    )
    _add_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _tune(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "tune",
        parents=[common],
        allow_abbrev=False,
        help="search for the options with the best score on the validation rows",
        epilog='The search space: --space.learning_rate "log_uniform(1e-5, 1e-3)" '
        f'--space.rank "4, 8, 16". {_DOTTED}',
    )
    _add_options(parser, TuneConfig, FinetuneConfig)


def _add_options(parser: _Parser, *configs: type) -> None:
    """Adds the options of configuration classes, by default those of `finetune`."""
    parser.add_argument("--config", type=Path, help="YAML file with these options")
    for config in configs or (FinetuneConfig,):
        described = descriptions(config)
        parser.aliases |= aliases_of(config)
        for name in field_types(config):
            if name in _PYTHON_ONLY:
                continue
            flag = name in _FLAGS
            kind = {"action": "store_true"} if flag else {"metavar": "VALUE"}
            parser.add_argument(
                f"--{name}",
                default=argparse.SUPPRESS,
                help=described[name].replace("%", "%%"),
                **kind,
            )


def _serve(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "serve",
        parents=[common],
        allow_abbrev=False,
        help="serve an export on this machine, for development and tests",
        epilog="For production use TF Serving: the folder is the same.",
    )
    add_serve_options(parser, descriptions(ServeConfig))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Returns the parsed arguments; for a training, `options` holds its options.

    Raises:
        ConfigError: For an unknown command, option or value.
    """
    if argv[:1] == ["launch"]:
        arguments = make_parser().parse_args(argv)
        check_launch(arguments.workers, arguments.rest)
        parse(arguments.rest)  # raises before any process starts
        return arguments
    plain, dotted = _split_dotted(argv)
    arguments = make_parser().parse_args(plain)
    taken = {"tune": _GROUPS, "inspect": ("task",)}.get(
        arguments.command, _GROUPS[:2] if arguments.command in _TRAININGS else ()
    )
    refused = [group for group in dotted if group not in taken]
    if refused:
        raise ConfigError(
            f"unknown option --{refused[0]}.…",
            where=f"tfft {arguments.command}",
            fix="leave it out",
        )
    if arguments.command in _TRAININGS:
        arguments.options = _finetune_options(arguments, dotted)
    elif arguments.command == "inspect":
        arguments.task = {"name": arguments.task, **dotted.get("task", {})}
    return arguments


def _split_dotted(argv: Sequence[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Separates options such as `--method.rank 4` and `--task.text=body` from the rest.

    Raises:
        ConfigError: For an option without a value or of an unknown group.
    """
    plain: list[str] = []
    dotted: dict[str, dict[str, str]] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        found = re.fullmatch(r"--([a-z_]+)\.([A-Za-z_.]+)(?:=(.*))?", word, re.DOTALL)
        if not found:
            plain.append(word)
            continue
        group, name, value = found.groups()
        if group not in _GROUPS:
            raise ConfigError(
                f"unknown option {word}",
                expected=one_of(f"--{one}.NAME" for one in _GROUPS),
                fix=nearest(group, _GROUPS) or "leave it out",
            )
        if value is None and not rest:
            raise ConfigError(f"{word} has no value", fix=f"write {word} VALUE")
        dotted.setdefault(group, {})[name] = rest.pop(0) if value is None else value
    return plain, dotted


def _finetune_options(
    arguments: argparse.Namespace, dotted: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Returns the options of the YAML file, overridden by the command line."""
    options = yaml.load_mapping(arguments.config) if arguments.config else {}
    fields = [
        field
        for config in _TRAININGS[arguments.command]
        for field in dataclasses.fields(config)
    ]
    known = {field.name for field in fields}
    options |= {name: value for name, value in vars(arguments).items() if name in known}
    defaults = {field.name: field.default for field in fields} | {"space": {}}
    for group, values in dotted.items():
        given = options.get(group, defaults[group])
        base = given if isinstance(given, dict) else {"name": given}
        options[group] = {**base, **values}
    return options
