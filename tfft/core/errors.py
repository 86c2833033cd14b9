"""Errors that say what happened, where, what was expected and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_VALUE_WIDTH = 80


class TfftError(Exception):
    """Base of every error that tfft raises on purpose.

    Args:
        what: What happened, with the value that was given.
        where: File and line, column, or argument. Left out when empty.
        expected: What would have been accepted. Left out when empty.
        fix: What to do about it. Left out when empty.

    >>> print(DataError("label is empty", where="news.csv:7", fix="fill it in"))
    label is empty · news.csv:7 · fix: fill it in
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str = "", expected: str = "", fix: str = ""
    ) -> None:
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        """Joins the parts in one line."""
        parts = [self.what, self.where]
        parts.append(f"expected {self.expected}" if self.expected else "")
        parts.append(f"fix: {self.fix}" if self.fix else "")
        return " · ".join(part for part in parts if part)

    def __reduce__(self) -> tuple:
        """Keeps the keyword arguments when the error crosses a process."""
        return _rebuild, (type(self), self.what, self.where, self.expected, self.fix)


def _rebuild(cls: type[TfftError], what: str, where: str, expected: str, fix: str):
    return cls(what, where=where, expected=expected, fix=fix)


class ConfigError(TfftError):
    """An option, a name or a combination of them that cannot be meant."""

    exit_code = 2


class DataError(TfftError):
    """Data or model files that were found but cannot be used."""

    exit_code = 65


class MissingInputError(TfftError):
    """A file, a folder, a data set or a package that is not there."""

    exit_code = 66


class OutOfMemoryError(TfftError):
    """The device or the host ran out of memory."""

    exit_code = 71


class OutputInUseError(TfftError):
    """The output folder holds something, or another process writes to it."""

    exit_code = 73


class StorageError(TfftError):
    """Reading or writing failed: a full disk, a folder without permission."""

    exit_code = 74


class LostWorkerError(TfftError):
    """Another process of a training is gone; the last checkpoint is safe."""

    exit_code = 75


class DivergedError(TfftError):
    """The loss stopped being a number."""

    exit_code = 76


class InterruptedRunError(TfftError):
    """Training was stopped by a signal; what it had learned is in the run folder."""

    exit_code = 130


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Returns `did you mean "…"?` for the closest allowed name, or nothing.

    >>> nearest("lable", ["text", "label"])
    'did you mean "label"?'
    >>> nearest("zzz", ["text", "label"])
    ''
    """
    close = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""


def one_of(allowed: Iterable[str]) -> str:
    """Returns the allowed names as the `expected` part of an error.

    >>> one_of(["a", "b"])
    'one of: a, b'
    """
    return "one of: " + ", ".join(allowed)


def shorten(value: object) -> str:
    r"""Returns the value as one line of at most 80 characters.

    >>> shorten("a\x1b[1mb\nc")
    "'a\\x1b[1mb\\nc'"
    """
    # Frames and arrays show themselves on several lines.
    shown = " ".join(repr(value).split("\n"))
    if len(shown) <= _VALUE_WIDTH:
        return shown
    return shown[: _VALUE_WIDTH - 1] + "…"


def shorten_path(path: object) -> str:
    """Returns a path as one line of at most 80 characters, with its end.

    >>> shorten_path("a/b.csv")
    "'a/b.csv'"
    >>> shorten_path("folder/" * 20 + "b.csv")[-14:]
    "/folder/b.csv'"
    """
    shown = repr(str(path))
    if len(shown) <= _VALUE_WIDTH:
        return shown
    return "'…" + shown[len(shown) - _VALUE_WIDTH + 2 :]
