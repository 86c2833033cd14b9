"""Options of a generation, and its text as it grows."""

from __future__ import annotations

import pytest

from tfft.core.errors import ConfigError
from tfft.generation.sampling import Sampling
from tfft.generation.text import GrowingText


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"temperature": -1}, "temperature=-1"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0}, "top_p=0"),
        ({"repetition_penalty": 0}, "repetition_penalty=0"),
        ({"seed": 2**62}, "seed=4611686018427387904"),
        ({"stop": ""}, "stop=''"),
        ({"stop": [5]}, r"stop=\[5\]"),
        ({"top_k": 3}, "temperature=0"),
        ({"top_p": 0.5}, "temperature=0"),
        ({"temprature": 1}, 'did you mean "temperature"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        Sampling(**options)


def test_half_a_character_is_held_back():
    ids = list("né".encode())
    text = GrowingText(lambda some: bytes(some).decode(errors="replace"), ())
    assert [text.add(one) for one in ids] == ["n", "", "é"]


def test_what_may_begin_a_stop_string_is_held_back_until_it_is_none():
    text = GrowingText("".join, ["\n\nQ:"])
    assert [text.add(one) for one in ["a\n", "\n", "Q", "x"]] == ["a", "", "", "\n\nQx"]
    assert not text.stopped
    assert text.rest() == ""


def test_the_first_of_several_stop_strings_ends_the_text():
    text = GrowingText("".join, ["b", "ab"])
    assert text.add("xab") == "x"
    assert text.stopped
    assert text.text == "x"
