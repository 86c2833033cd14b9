"""Errors that say what happened, where, what was expected and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_VALUE_WIDTH = 80


class TfftError(Exception):
    """The base class of every error that tfft raises on purpose.

    Args:
        what: The problem, with the given value.
        where: File and line, column, or argument. May be empty.
        expected: The accepted values. May be empty.
        fix: How to solve it. May be empty.

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
        """Joins the parts into one line."""
        parts = [self.what, self.where]
        parts.append(f"expected {self.expected}" if self.expected else "")
        parts.append(f"fix: {self.fix}" if self.fix else "")
        return " · ".join(part for part in parts if part)

    def __reduce__(self) -> tuple:
        """Keeps the keyword arguments when the error is sent to another process."""
        return _rebuild, (type(self), self.what, self.where, self.expected, self.fix)


def _rebuild(cls: type[TfftError], what: str, where: str, expected: str, fix: str):
    return cls(what, where=where, expected=expected, fix=fix)


class ConfigError(TfftError):
    """An invalid option, name or combination of options."""

    exit_code = 2


class DataError(TfftError):
    """Data or model files that exist but are not usable."""

    exit_code = 65


class MissingInputError(TfftError):
    """A file, folder, data set or package that does not exist."""

    exit_code = 66


class OutOfMemoryError(TfftError):
    """The device or the host ran out of memory."""

    exit_code = 71


class OutputInUseError(TfftError):
    """The output folder is not empty, or another process is writing to it."""

    exit_code = 73


class StorageError(TfftError):
    """Reading or writing failed: a full disk, a folder without permission."""

    exit_code = 74


class LostWorkerError(TfftError):
    """Another process of the training has died; the last checkpoint is safe."""

    exit_code = 75


class DivergedError(TfftError):
    """The loss is no longer a finite number."""

    exit_code = 76


class InterruptedRunError(TfftError):
    """A signal stopped the training; its progress is saved in the run folder."""

    exit_code = 130


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Returns `did you mean "…"?` with the closest allowed name, or an empty text.

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
    # The repr of a data frame or an array has several lines.
    shown = " ".join(repr(value).split("\n"))
    if len(shown) <= _VALUE_WIDTH:
        return shown
    return shown[: _VALUE_WIDTH - 1] + "…"


def shorten_path(path: object) -> str:
    """Returns a path as one line of at most 80 characters; a long one keeps its end.

    >>> shorten_path("a/b.csv")
    "'a/b.csv'"
    >>> shorten_path("folder/" * 20 + "b.csv")[-14:]
    "/folder/b.csv'"
    """
    shown = repr(str(path))
    if len(shown) <= _VALUE_WIDTH:
        return shown
    return "'…" + shown[len(shown) - _VALUE_WIDTH + 2 :]
