"""Finds the places of a backbone that a method's options select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfft.core.errors import ConfigError
from tfft.core.patterns import select
from tfft.models.architecture import Architecture, Place

ALL_LINEAR = "all-linear"


class Targets(NamedTuple):
    """The options that select which places to adapt.

    Attributes:
        target: Patterns, or None for the architecture's default.
        exclude: Patterns of selected places to leave out.
        layers: Indices of the layers to adapt, or None for all.
        where: The method's name in errors.
    """

    target: tuple[str, ...] | None
    exclude: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None
    where: str = "target"

    def places(self, architecture: Architecture, num_layers: int) -> list[Place]:
        """Returns the selected places, in the order of the backbone.

        Raises:
            ConfigError: For a pattern that matches no place, a layer that does not
                exist, or when no place is left.
        """
        every = architecture.linear_places(num_layers)
        patterns = self.target or architecture.default_targets
        chosen = every
        if patterns != (ALL_LINEAR,):
            names = [place.names for place in every]
            indices = select(patterns, names, where=f"{self.where}.target")
            chosen = [every[index] for index in indices]
        chosen = self._within_layers(chosen, num_layers)
        if self.exclude:
            names = [place.names for place in chosen]
            gone = set(select(self.exclude, names, where=f"{self.where}.exclude"))
            chosen = [place for i, place in enumerate(chosen) if i not in gone]
        if not chosen:
            raise ConfigError(
                "no place is left to adapt",
                where=self.where,
                expected="fewer exclusions or more targets",
                fix="see tfft inspect --model",
            )
        return chosen

    def _within_layers(self, places: list[Place], num_layers: int) -> list[Place]:
        if self.layers is None:
            return places
        wrong = [index for index in self.layers if not 0 <= index < num_layers]
        if wrong or not self.layers:
            raise ConfigError(
                f"layers_to_transform={list(self.layers)}",
                where=self.where,
                expected=f"indices from 0 to {num_layers - 1}",
                fix="leave this option out to adapt all layers",
            )
        prefixes = tuple(f"layers.{index}." for index in self.layers)
        return [place for place in places if place.name.startswith(prefixes)]


def by_pattern(
    patterns: Mapping[str, Any] | None,
    places: Sequence[Place],
    default: Any,
    where: str,
) -> list[Any]:
    """Returns a value for each place: that of the first pattern that matches it.

    Args:
        patterns: Values by pattern, like PEFT's `rank_pattern`.
        places: The places.
        default: The value of places that no pattern matches.
        where: The option's name in errors.

    Raises:
        ConfigError: For a pattern that matches no place.
    """
    values = [default] * len(places)
    for pattern, value in reversed(list((patterns or {}).items())):
        for index in select((pattern,), [p.names for p in places], where=where):
            values[index] = value
    return values
