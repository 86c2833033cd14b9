from __future__ import annotations

import numpy as np
import pytest

from tfft.core.errors import ConfigError
from tfft.generation.sampling import Sampling, choose, truncated
from tfft.generation.text import GrowingText

LOGITS = np.log(np.array([0.4, 0.3, 0.2, 0.06, 0.04]))


def shares(sampling, draws=4000, logits=LOGITS):
    random = np.random.default_rng(0)
    ids = [choose(logits, np.array([0]), sampling, random) for _ in range(draws)]
    return np.bincount(ids, minlength=len(logits)) / draws


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 1}, [0.4, 0.3, 0.2, 0.06, 0.04]),
        ({"temperature": 1, "top_k": 2}, [4 / 7, 3 / 7, 0, 0, 0]),
        ({"temperature": 1, "top_p": 0.7}, [4 / 7, 3 / 7, 0, 0, 0]),
        ({"temperature": 1, "top_p": 0.71}, [4 / 9, 3 / 9, 2 / 9, 0, 0]),
        ({"temperature": 1, "top_p": 1e-9}, [1, 0, 0, 0, 0]),
        ({"temperature": 0.5}, np.array([16, 9, 4, 0.36, 0.16]) / 29.52),
        ({"temperature": 0}, [1, 0, 0, 0, 0]),
    ],
)
def test_tokens_are_drawn_by_their_shares(options, expected):
    # 4,000 draws: a share of one half has a standard deviation of 0.008.
    np.testing.assert_allclose(shares(Sampling(**options)), expected, atol=0.04)


def test_a_penalty_makes_what_was_said_less_likely():
    sampling = Sampling(repetition_penalty=1.5)
    assert choose(LOGITS, np.array([0]), sampling, None) == 1
    assert choose(LOGITS + 2, np.array([0]), sampling, None) == 1
    assert choose(LOGITS, np.array([3]), sampling, None) == 0


def test_top_k_keeps_all_when_there_are_no_more():
    assert np.isfinite(truncated(LOGITS, 5, 1.0)).all()
    assert np.isfinite(truncated(LOGITS, 4, 1.0)).sum() == 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"temperature": -1}, "temperature=-1"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0}, "top_p=0"),
        ({"repetition_penalty": 0}, "repetition_penalty=0"),
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
