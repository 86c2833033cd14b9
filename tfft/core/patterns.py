"""Matches a user's patterns with the names of layers."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from tfft.core.errors import ConfigError, nearest, shorten


def matches(pattern: str, name: str) -> bool:
    """Returns whether a pattern matches a dotted name.

    A pattern is a name or the end of one after a dot, as in PEFT's `target_modules`;
    a shell glob; or `re:` and a regular expression for the whole name.

    >>> matches("query", "layers.0.attention.query")
    True
    >>> matches("uery", "layers.0.attention.query")
    False
    >>> matches("layers.[0-2].*.query", "layers.3.attention.query")
    False
    """
    if pattern.startswith("re:"):
        return re.fullmatch(pattern[3:], name) is not None
    if name == pattern or name.endswith("." + pattern):
        return True
    return fnmatch.fnmatchcase(name, pattern)


def select(
    patterns: Sequence[str], places: Sequence[Sequence[str]], *, where: str
) -> list[int]:
    """Returns the indices of the places that at least one pattern matches.

    Args:
        patterns: The user's patterns.
        places: For each place, all of its names.
        where: The option, for the error.

    Raises:
        ConfigError: Without patterns, for an invalid regular expression, and for a
            pattern that matches nothing.
    """
    if not patterns:
        raise ConfigError("no pattern is given", where=where, fix="name a place")
    chosen: set[int] = set()
    for pattern in patterns:
        found = _find(pattern, places, where)
        if not found:
            tails = sorted({".".join(names[0].split(".")[2:]) for names in places})
            raise ConfigError(
                f"pattern {shorten(pattern)} matches no layer",
                where=where,
                expected="a part of: " + ", ".join(tail for tail in tails if tail),
                fix=nearest(pattern, _words(places)) or "see tfft inspect --model",
            )
        chosen.update(found)
    return sorted(chosen)


def _find(pattern: str, places: Sequence[Sequence[str]], where: str) -> set[int]:
    try:
        return {
            index
            for index, names in enumerate(places)
            if any(matches(pattern, name) for name in names)
        }
    except re.error as error:
        raise ConfigError(
            f"pattern {shorten(pattern)} is not a regular expression: {error}",
            where=where,
            fix="correct the expression after re:",
        ) from error


def _words(places: Sequence[Sequence[str]]) -> list[str]:
    return sorted({names[0].rsplit(".", 1)[-1] for names in places})
