"""The arguments in Google-style docstrings: read them, and write complete lists."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping

_SECTION = re.compile(r"Args:\n((?: {4}.*\n?|\n(?= {4}))+)")
_ENTRY = re.compile(r" {4}(\*{0,2}\w+): (.*)")
_WIDTH = 84  # of the text without the margin of a class's docstring


def descriptions(cls: type) -> dict[str, str]:
    """Returns the description of each argument of a class and its bases.

    >>> class Base:
    ...     '''Base.
    ...
    ...     Args:
    ...         rows: How many rows
    ...             there are.
    ...     '''
    >>> class Derived(Base):
    ...     '''Derived.
    ...
    ...     Args:
    ...         columns: How many columns.
    ...     '''
    >>> descriptions(Derived)
    {'columns': 'How many columns.', 'rows': 'How many rows there are.'}
    """
    found: dict[str, str] = {}
    for base in cls.__mro__:
        for name, text in _entries(base.__dict__.get("__doc__")).items():
            found.setdefault(name, text)
    return found


def _entries(doc: str | None) -> dict[str, str]:
    section = _SECTION.search(inspect.cleandoc(doc or ""))
    found: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines() if section else ():
        if start := _ENTRY.fullmatch(line):
            name, found[start[1]] = start[1], start[2]
        elif name:
            found[name] += " " + line.strip()
    return {name: text.strip() for name, text in found.items()}


def with_descriptions(doc: str | None, described: Mapping[str, str]) -> str | None:
    r"""Returns a docstring whose Args section lists all of the descriptions.

    Arguments that the docstring describes itself stay first and as they are, except
    an entry for `**options`, which the descriptions replace.

    Args:
        doc: The docstring. Without one (under `python -OO`) there is nothing to
            complete.
        described: The description of each argument.

    >>> doc = "Runs.\n\nArgs:\n    **options: All of them."
    >>> print(with_descriptions(doc, {"a": "One."}))
    Runs.
    <BLANKLINE>
    Args:
        a: One.
    """
    own = _entries(doc)
    if doc is None or set(own) == set(described):
        return doc
    text = inspect.cleandoc(doc)
    kept = {name: one for name, one in own.items() if not name.startswith("*")}
    entries = {**kept, **{k: v for k, v in described.items() if k not in kept}}
    if not entries:
        return text
    lines = [
        textwrap.fill(
            f"{name}: {one}",
            _WIDTH,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, one in entries.items()
    ]
    section = "Args:\n" + "\n".join(lines) + "\n"
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: section, text, count=1).rstrip()
    first, _, rest = text.partition("\n\n")
    return f"{first}\n\n{section}\n{rest}".rstrip()
