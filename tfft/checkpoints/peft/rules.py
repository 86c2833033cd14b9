"""Matches the patterns of a PEFT config, by PEFT's own rules.

PEFT matches the names of modules in the model that it wraps. These names start with the
model's prefix (`bert.encoder…`) if that model has a head, and have no prefix otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfft.checkpoints.peft.folder import Folder

_ALL_LINEAR = "all-linear"
# By default the number of a layer follows a dotted name.
_ANY_LAYER = r".*?\.[^.]*\.(?P<index>\d+)\."


class Rules:
    """The patterns of a folder's config.

    Args:
        folder: The folder.
        prefix: The prefix of its tensors' names, before tfft's names of the modules.
        default: The targets of a config that names none.

    Attributes:
        folder: The folder.
        prefix: As given.
        target: A regular expression, or names and ends of names.
        saved: The names of `modules_to_save`.

    Raises:
        DataError: For a field that is not a pattern, or that PEFT refuses.
    """

    def __init__(self, folder: Folder, prefix: str, default: Sequence[str]) -> None:
        self.folder, self.prefix = folder, prefix
        target = folder.patterns("target_modules")
        self.target = tuple(default) if target is None else target
        self._exclude = folder.patterns("exclude_modules") or ()
        self.saved = folder.strings("modules_to_save")
        layers = folder.config.get("layers_to_transform")
        pattern = folder.patterns("layers_pattern") or ()
        self._layer_patterns = (pattern,) if isinstance(pattern, str) else pattern
        self._layers = _indices(folder, layers)
        if isinstance(self.target, str) and (layers is not None or pattern):
            raise folder.error(
                "layers_to_transform with a regular expression in target_modules",
                expected="a list of target_modules, as PEFT requires",
                fix="put the layers into the expression",
            )

    def targets(self, module: str) -> bool:
        """Returns whether a linear module is adapted."""
        name = self.prefix + module
        if self.matches("exclude_modules", self._exclude, module) or self._is_kept(
            name
        ):
            return False
        if isinstance(self.target, str) and self.target.lower() == _ALL_LINEAR:
            return True
        if not isinstance(self.target, str) and name in self.target:
            return True  # in any layer
        if not self.matches("target_modules", self.target, module):
            return False
        return self._layers is None or self._layer(name) in self._layers

    def matches(self, key: str, entries: str | Sequence[str], module: str) -> bool:
        """Returns whether a field matches a module.

        A string is a regular expression for the whole name. A list holds names or the
        ends of names.
        """
        name = self.prefix + module
        if isinstance(entries, str):
            found = self.folder.match(key, entries, entries, name, whole=True)
            return found is not None
        return any(name == entry or name.endswith(f".{entry}") for entry in entries)

    def value(self, key: str, patterns: Mapping[str, Any], module: str) -> Any:
        """Returns the value of the first pattern that matches a module, or None.

        A pattern is a regular expression for the whole name or its end after a dot.
        """
        name = self.prefix + module
        for pattern, value in patterns.items():
            if self.folder.match(key, pattern, rf"(.*\.)?({pattern})$", name):
                return value
        return patterns.get(name)

    def saves(self, module: str) -> bool:
        """Returns whether a module, or one that contains it, is trained in full.

        PEFT compares the ends of names, even inside a word: `norm` also matches
        `input_layernorm`.
        """
        parts = (self.prefix + module).split(".")
        names = [".".join(parts[: end + 1]) for end in range(len(parts))]
        return any(name.endswith(entry) for name in names for entry in self.saved)

    def _is_kept(self, name: str) -> bool:
        """Returns whether `modules_to_save` excludes a module from adapters."""
        return any(
            self.folder.match(
                "modules_to_save", entry, rf"(^|.*\.){entry}($|\..*)", name
            )
            for entry in self.saved
        )

    def _layer(self, name: str) -> int | None:
        """Returns the number of the layer that contains a module, or None."""
        shapes = [
            rf"(?:^|.*?\.){pattern}\.(?P<index>\d+)\."
            for pattern in self._layer_patterns
        ]
        for shape in shapes or [_ANY_LAYER]:
            if found := self.folder.match("layers_pattern", shape, shape, name):
                return int(found["index"])
        return None


def _indices(folder: Folder, layers: Any) -> set[int] | None:
    """Returns the layers to adapt. None, like an empty list, means all layers."""
    if layers is None or layers == []:
        return None
    every = layers if isinstance(layers, list) else [layers]
    return {
        folder.checked_number("layers_to_transform", index, 0, 10**6) for index in every
    }
