"""How PEFT reads the patterns of a config, rule by rule.

PEFT matches against the names of modules in the model that it wraps. These have the
model's prefix (`bert.encoder…`) when that model has a head, and none otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfft.checkpoints.peft.folder import Folder

_ALL_LINEAR = "all-linear"
# Where the number of a layer stands when the config does not say: after a dotted name.
_ANY_LAYER = r".*?\.[^.]*\.(?P<index>\d+)\."


class Rules:
    """The patterns of a folder's config.

    Args:
        folder: The folder.
        prefix: What its tensors' names have before tfft's names of the modules.
        default: The modules that a config without targets means.

    Attributes:
        folder: The folder.
        prefix: As given.
        target: A regular expression, or names and tails of names.
        saved: The names of `modules_to_save`.

    Raises:
        DataError: For a field that is no pattern, or a combination that PEFT refuses.
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
                "layers_to_transform beside a regular expression in target_modules",
                expected="a list of target_modules, as PEFT does",
                fix="put the layers into the expression",
            )

    def targets(self, module: str) -> bool:
        """Tells whether a linear module is adapted."""
        name = self.prefix + module
        if self.means("exclude_modules", self._exclude, module) or self._is_kept(name):
            return False
        if isinstance(self.target, str) and self.target.lower() == _ALL_LINEAR:
            return True
        if not isinstance(self.target, str) and name in self.target:
            return True  # whichever layer it is in
        if not self.means("target_modules", self.target, module):
            return False
        return self._layers is None or self._layer(name) in self._layers

    def means(self, key: str, entries: str | Sequence[str], module: str) -> bool:
        """Tells whether a field means a module.

        Text is a regular expression for the whole name; a list holds names or their
        tails.
        """
        name = self.prefix + module
        if isinstance(entries, str):
            found = self.folder.match(key, entries, entries, name, whole=True)
            return found is not None
        return any(name == entry or name.endswith(f".{entry}") for entry in entries)

    def value(self, key: str, patterns: Mapping[str, Any], module: str) -> Any:
        """Returns the value of the first pattern that means a module, or None.

        A pattern is a regular expression for the whole name or for a tail after a dot.
        """
        name = self.prefix + module
        for pattern, value in patterns.items():
            if self.folder.match(key, pattern, rf"(.*\.)?({pattern})$", name):
                return value
        return patterns.get(name)

    def saves(self, module: str) -> bool:
        """Tells whether a module is trained in full, or is inside of one that is.

        PEFT compares the ends of names, dot or no dot: `norm` is `input_layernorm`
        as well.
        """
        parts = (self.prefix + module).split(".")
        names = [".".join(parts[: end + 1]) for end in range(len(parts))]
        return any(name.endswith(entry) for name in names for entry in self.saved)

    def _is_kept(self, name: str) -> bool:
        """Tells whether `modules_to_save` keeps adapters off a module."""
        return any(
            self.folder.match(
                "modules_to_save", entry, rf"(^|.*\.){entry}($|\..*)", name
            )
            for entry in self.saved
        )

    def _layer(self, name: str) -> int | None:
        """Returns the number of the layer that a module is in."""
        shapes = [
            rf"(?:^|.*?\.){pattern}\.(?P<index>\d+)\."
            for pattern in self._layer_patterns
        ]
        for shape in shapes or [_ANY_LAYER]:
            if found := self.folder.match("layers_pattern", shape, shape, name):
                return int(found["index"])
        return None


def _indices(folder: Folder, layers: Any) -> set[int] | None:
    """Returns the layers to keep to; None for all, which an empty list means too."""
    if layers is None or layers == []:
        return None
    every = layers if isinstance(layers, list) else [layers]
    return {
        folder.checked_number("layers_to_transform", index, 0, 10**6) for index in every
    }
