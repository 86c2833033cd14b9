"""Names that users say, and the classes they stand for."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tfft.core.errors import ConfigError, nearest, one_of, shorten

Class = TypeVar("Class", bound=type)


class Registry:
    """A table of names, filled by the modules of one package.

    The modules are imported on the first look-up. A new entry is a new file with
    a `register` line: no list elsewhere has to know of it. Sub-packages are left
    alone; that is where a room keeps what needs TensorFlow at import.

    Args:
        noun: What the entries are, for messages: "task", "method".
        package: Dotted name of the package whose modules register themselves.
    """

    def __init__(self, noun: str, package: str) -> None:
        self._noun, self._package = noun, package
        self._entries: dict[str, type] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Class], Class]:
        """Returns a class decorator that enters the class under a name."""

        def decorate(cls: Class) -> Class:
            if self._entries.setdefault(name, cls) is not cls:
                raise ValueError(f"{self._noun} {name!r} is registered twice")
            cls.name = name
            return cls

        return decorate

    def names(self) -> list[str]:
        """Returns every registered name, sorted."""
        self._discover()
        return sorted(self._entries)

    def get(self, name: str) -> type:
        """Returns the class of a name.

        Raises:
            ConfigError: For a name that is not in the table.
        """
        self._discover()
        if name not in self._entries:
            raise ConfigError(
                f"unknown {self._noun} {shorten(name)}",
                expected=one_of(self.names()),
                fix=nearest(name, self.names()) or "choose one of them",
            )
        return self._entries[name]

    def resolve(self, spec: Any, options: Mapping[str, Any] | None = None) -> Any:
        """Returns the object that a name, a mapping or an object stands for.

        Args:
            spec: A registered name, a mapping with `name` and options, or an
                object of a registered class.
            options: Further options, such as those of a command line.

        Raises:
            ConfigError: For an unknown name or option, or options beside an
                object that has its own.
        """
        given = dict(options or {})
        if isinstance(spec, str):
            return self.get(spec)(**given)
        if isinstance(spec, Mapping):
            rest = {key: value for key, value in spec.items() if key != "name"}
            if "name" not in spec:
                raise ConfigError(
                    f"{self._noun} {shorten(dict(spec))} has no name",
                    expected=one_of(self.names()),
                    fix="add the key name",
                )
            return self.get(str(spec["name"]))(**{**rest, **given})
        self._discover()
        if type(spec) not in self._entries.values():
            raise ConfigError(
                f"{self._noun} {shorten(spec)} is of type {type(spec).__name__}",
                expected=f"a name ({', '.join(self.names())}) or an object of tfft",
                fix=f'say for example {self._noun}="{self.names()[0]}"',
            )
        if given:
            raise ConfigError(
                f"{self._noun} is an object and has options beside it: {given}",
                fix="put the options into the object",
            )
        return spec

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg:
                importlib.import_module(f"{self._package}.{module.name}")
