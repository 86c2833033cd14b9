"""Maps the names that users give to classes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tfft.core.errors import ConfigError, nearest, one_of, shorten

Class = TypeVar("Class", bound=type)


class Registry:
    """A table of names and classes, filled by the modules of one package.

    The first look-up imports the modules. A new entry is a new file with a `register`
    line; no list elsewhere needs to change. Subpackages are not imported: a package
    keeps there what needs TensorFlow at import.

    Args:
        noun: The word for an entry in messages: "task", "method".
        package: The package whose modules register classes.
    """

    def __init__(self, noun: str, package: str) -> None:
        self._noun, self._package = noun, package
        self._entries: dict[str, type] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Class], Class]:
        """Returns a decorator that registers a class under a name."""

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
        """Returns the class that is registered under a name.

        Raises:
            ConfigError: For an unknown name.
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
        """Returns an object of a registered class.

        Args:
            spec: A registered name, a mapping with `name` and options, or an
                object of a registered class, which is returned as it is.
            options: Further options, such as those of the command line.

        Raises:
            ConfigError: For an unknown name or option, or for options in addition
                to an object.
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
                fix=f'for example {self._noun}="{self.names()[0]}"',
            )
        if given:
            raise ConfigError(
                f"{self._noun} is an object, and options are given too: {given}",
                fix="give the options to the object",
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
