"""The backbone's own variables that a method trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tfft.compute.layers import variables_by_path
from tfft.core.patterns import select
from tfft.models.architecture import Place


def biases(backbone: Any, places: Iterable[Place]) -> list[Any]:
    """Returns the biases at the places; like Hugging Face, counts norm offsets too."""
    variables = variables_by_path(backbone)
    return [
        variables[weight.path]
        for place in places
        for weight in place.weights()
        if weight.theirs.endswith(".bias")
    ]


def places_named(
    patterns: Sequence[str], places: Sequence[Place], where: str
) -> list[Place]:
    """Returns the places that match the patterns.

    Raises:
        ConfigError: For a pattern that matches no place.
    """
    if not patterns:
        return []
    names = [place.names for place in places]
    return [places[index] for index in select(patterns, names, where=where)]


def weights_of(backbone: Any, places: Iterable[Place]) -> list[Any]:
    """Returns all variables at the places."""
    variables = variables_by_path(backbone)
    return [variables[w.path] for place in places for w in place.weights()]
