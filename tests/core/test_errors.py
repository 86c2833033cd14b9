"""Errors are one line, know their exit code, and cross processes whole."""

from __future__ import annotations

import copy
import pickle

import pytest

from tfft.core import errors

EXIT_CODES = {
    "TfftError": 1,
    "ConfigError": 2,
    "DataError": 65,
    "MissingInputError": 66,
    "OutOfMemoryError": 71,
    "OutputInUseError": 73,
    "StorageError": 74,
    "LostWorkerError": 75,
    "DivergedError": 76,
    "InterruptedRunError": 130,
}


def test_exit_codes_are_the_documented_ones():
    classes = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.TfftError)
    }
    assert classes == EXIT_CODES


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, "label is empty"),
        ({"where": "news.csv:7"}, "label is empty · news.csv:7"),
        ({"expected": "a word"}, "label is empty · expected a word"),
        ({"fix": "fill it in"}, "label is empty · fix: fill it in"),
        (
            {"fix": "fill it in", "where": "news.csv:7", "expected": "a word"},
            "label is empty · news.csv:7 · expected a word · fix: fill it in",
        ),
    ],
)
def test_the_message_joins_what_where_expected_and_fix(parts, expected):
    assert str(errors.DataError("label is empty", **parts)) == expected


@pytest.mark.parametrize("name", EXIT_CODES)
@pytest.mark.parametrize(
    "duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy]
)
def test_a_copy_keeps_class_and_parts(name, duplicate):
    error = getattr(errors, name)("what", where="here", expected="that", fix="this")
    again = duplicate(error)
    assert type(again) is type(error)
    assert (again.what, again.where, again.expected, again.fix) == (
        "what",
        "here",
        "that",
        "this",
    )
    assert str(again) == "what · here · expected that · fix: this"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lable", 'did you mean "label"?'),
        ("Label", 'did you mean "label"?'),
        ("zzz", ""),
        (3, ""),
        ("", ""),
    ],
)
def test_nearest_names_what_is_close(name, expected):
    assert errors.nearest(name, ["text", "label"]) == expected


def test_shorten_shows_80_characters_at_most():
    assert errors.shorten("a" * 78) == "'" + "a" * 78 + "'"
    assert errors.shorten("a" * 79) == "'" + "a" * 78 + "…"
    assert len(errors.shorten("a" * 10_000)) == 80


def test_shorten_makes_control_characters_visible():
    assert errors.shorten("\x1b[31m\r\n") == r"'\x1b[31m\r\n'"
