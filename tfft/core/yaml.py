"""Safe YAML in which `1e-5` is a number, `no` is a word, and no key occurs twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tfft.core.errors import ConfigError, MissingInputError

_MAX_BYTES = 1_000_000
_FLOAT = re.compile(
    r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"
    r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9]+$")


def _refusal(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2, without aliases and tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        # A few hundred bytes of nested aliases can expand to gigabytes.
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases are not allowed", event.start_mark)
        if event.tag is not None:
            raise _refusal(f"tag {event.tag} is not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:
        # PyYAML reads 010 as 8 and fails for 08.
        try:
            return int(node.value)
        except ValueError as error:
            raise _refusal("number with too many digits", node.start_mark) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen: set = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refusal("key is a list or mapping", key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise _refusal(f"key {key!r} occurs twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _resolvers() -> dict[str, list]:
    """Returns the core rules of YAML 1.2; in those of PyYAML `no` is False."""
    rules = [
        ("tag:yaml.org,2002:int", _INT, "-+0123456789"),
        ("tag:yaml.org,2002:float", _FLOAT, "-+0123456789."),
        ("tag:yaml.org,2002:bool", _BOOL, "tTfF"),
        ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), "~nN\0"),
    ]
    table: dict[str, list] = {}
    for tag, expression, first_letters in rules:
        for letter in first_letters:
            table.setdefault("" if letter == "\0" else letter, []).append(
                (tag, expression)
            )
    return table


_Loader.yaml_implicit_resolvers = _resolvers()
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def load(text: str, where: str = "YAML") -> Any:
    """Returns the value of a YAML text.

    Args:
        text: At most 1 MB.
        where: The place of the text, for the error.

    Raises:
        ConfigError: With line and column.

    >>> load("{learning_rate: 1e-5, label: no}")
    {'learning_rate': 1e-05, 'label': 'no'}
    """
    if len(text) > _MAX_BYTES:
        raise ConfigError(
            f"{len(text):,} characters", where=where, expected="at most 1 MB of YAML"
        )
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"not valid YAML: {error.reason}",
            where=f"{where}:{line}",
            fix="remove the control characters",
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or "nested too deeply"
        raise ConfigError(
            f"not valid YAML: {problem}", where=place, fix="correct that line"
        ) from error


def load_mapping(path: Path) -> dict[str, Any]:
    """Returns the options in a YAML file.

    Raises:
        MissingInputError: When the file does not exist.
        ConfigError: When it contains anything but options.
    """
    if not path.is_file():
        raise MissingInputError(f"no such file: {path}", fix="check the path")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"byte {error.start} is not UTF-8", where=str(path), fix="save it as UTF-8"
        ) from error
    options = load(text, where=str(path))
    if not isinstance(options, dict) or not all(
        isinstance(key, str) for key in options
    ):
        raise ConfigError(
            f"contains a {type(options).__name__}",
            where=str(path),
            expected="options, one `name: value` per line",
            fix="see docs/cli.md for an example",
        )
    return options
