"""`tfft serve`, and predictions from a server instead of a run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError
from tfft.serving.extra import serve_extra
from tfft.serving.server.config import ServeConfig


def add_serve_options(
    parser: argparse.ArgumentParser, described: dict[str, str]
) -> None:
    """Adds the options of `tfft serve` to its parser.

    Args:
        parser: The parser of the command.
        described: The help text of each field of `ServeConfig`.
    """
    parser.add_argument("directory", help="the folder of the model, with its versions")
    for field in dataclasses.fields(ServeConfig):
        if field.name != "directory":
            parser.add_argument(
                f"--{field.name}",
                default=argparse.SUPPRESS,
                metavar="VALUE",
                help=described[field.name],
            )


def run_serve(arguments: argparse.Namespace) -> int:
    """Serves until a signal arrives, then returns 0."""
    names = {field.name for field in dataclasses.fields(ServeConfig)}
    options = {name: one for name, one in vars(arguments).items() if name in names}
    config = ServeConfig(**{**options, "directory": Path(arguments.directory)})
    with serve_extra():
        from tfft.serving.server.lifecycle import serve
    serve(config, lambda line: print(line, flush=True))
    return 0


def ask_server(
    url: str, texts: Sequence[str], file: Path | None
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Returns the inputs for a server, and its answers.

    Args:
        url: The address of the model.
        texts: Texts, for a model with one input.
        file: A data file with a column for each input of the model.

    Raises:
        ConfigError: For texts when the model has several inputs.
    """
    from tfft.serving.client.connect import connect

    with connect(url) as client:
        names = list(client.signature("serving_default").inputs)
        if file is None and len(names) > 1:
            raise ConfigError(
                f"the model takes {' and '.join(names)}",
                where=url,
                expected="--file with these columns",
            )
        answers = client.predict(file or list(texts))
    given = [f"row {i + 1}" for i in range(len(answers))] if file else list(texts)
    only = [one if isinstance(one, dict) else {"output": one} for one in answers]
    return given, only
