"""Options are converted to the annotated types, and refused with a reason."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import pytest

from tfft.core.config import configuration, field_types, require, to_dict
from tfft.core.convert import convert
from tfft.core.errors import ConfigError


@configuration(aliases={"r": "rank", "lora_alpha": "alpha"})
class Method:
    rank: int = 8
    alpha: float | None = None
    targets: tuple[str, ...] = ("query", "value")


@configuration()
class Sized:
    size: int
    ratio: float = 0.5

    def __post_init__(self):
        require(0 <= self.ratio < 1, self, "ratio", "from 0 up to 1")


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, int, 3),
        ("-3", int, -3),
        (3, float, 3.0),
        ("1e-5", float, 1e-5),
        (2.5, float, 2.5),
        ("text", str, "text"),
        (True, bool, True),
        ("Yes", bool, True),
        ("on", bool, True),
        ("1", bool, True),
        ("FALSE", bool, False),
        ("off", bool, False),
        (None, int | None, None),
        ("4", int | None, 4),
        ("0.1", float | str, 0.1),
        ("news.csv", float | str, "news.csv"),
        ("cosine", Literal["cosine", "linear"], "cosine"),
        ("a, b", tuple[str, ...], ("a", "b")),
        (["1", 2], tuple[int, ...], (1, 2)),
        ((), tuple[str, ...], ()),
        ({"a": 1}, object, {"a": 1}),
    ],
)
def test_values_become_the_annotated_type(value, annotation, expected):
    converted = convert(value, annotation, "option")
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        ("3.5", int, "a whole number"),
        (3.0, int, "a whole number"),
        (True, int, "a whole number"),
        (None, int, "a whole number"),
        ("fast", float, "a number"),
        (False, float, "a number"),
        (10**400, float, "a number"),
        ("maybe", bool, "true or false"),
        (1, bool, "true or false"),
        (3, str, "text"),
        (3, tuple[int, ...], "a list"),
        ("x", int | None, "a whole number or nothing"),
        (
            "[3,4]",
            tuple[int, ...] | None,
            "a whole number or several, with commas between, or nothing",
        ),
    ],
)
def test_values_of_another_type_are_refused(value, annotation, expected):
    with pytest.raises(ConfigError) as caught:
        convert(value, annotation, "Method.option")
    assert caught.value.expected == expected
    assert caught.value.where == "Method.option"
    assert caught.value.what.endswith("has the wrong type")


def test_numbers_may_be_infinite_or_none_so_that_ranges_are_checked_elsewhere():
    assert convert("inf", float, "x") == math.inf
    assert math.isnan(convert("nan", float, "x"))


def test_a_word_outside_a_literal_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        convert("cosin", Literal["cosine", "linear"], "schedule")
    assert caught.value.expected == "one of: cosine, linear"
    assert caught.value.fix == 'did you mean "cosine"?'


def test_defaults_stay_where_nothing_is_given():
    assert to_dict(Method()) == {
        "rank": 8,
        "alpha": None,
        "targets": ["query", "value"],
    }


def test_an_unknown_key_names_the_nearest_one():
    with pytest.raises(ConfigError) as caught:
        Method(rnak=4)
    assert caught.value.what == "unknown option rnak=4"
    assert caught.value.where == "Method"
    assert caught.value.expected == "one of: rank, alpha, targets"
    assert caught.value.fix == 'did you mean "rank"?'


def test_a_misspelt_alias_names_the_alias():
    with pytest.raises(ConfigError, match='did you mean "lora_alpha"'):
        Method(lora_alhpa=1)


def test_a_class_without_options_says_so():
    empty = configuration()(type("Empty", (), {}))
    with pytest.raises(ConfigError) as caught:
        empty(x=1)
    assert caught.value.expected == "no options"
    assert caught.value.fix == "leave it out"


def test_an_alias_sets_the_field():
    method = Method(r="4", lora_alpha="16")
    assert (method.rank, method.alpha) == (4, 16.0)


@pytest.mark.parametrize("options", [{"rank": 4, "r": 4}, {"r": 4, "rank": 8}])
def test_a_field_given_twice_is_refused(options):
    with pytest.raises(ConfigError, match=r"^rank is given twice") as caught:
        Method(**options)
    assert caught.value.fix == "keep rank only"


def test_a_missing_field_is_named():
    with pytest.raises(ConfigError) as caught:
        Sized(ratio=0.1)
    assert str(caught.value) == "size is not given · Sized · fix: add size"


@pytest.mark.parametrize("ratio", [-0.1, 1.0, math.nan, math.inf])
def test_require_names_value_and_range(ratio):
    with pytest.raises(ConfigError) as caught:
        Sized(size=1, ratio=ratio)
    assert caught.value.what == f"ratio={ratio} makes no sense"
    assert caught.value.where == "Sized"
    assert caught.value.expected == "from 0 up to 1"
    assert caught.value.fix == "change ratio"


def test_a_configuration_cannot_be_changed_but_replaced():
    method = Method(rank=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.rank = 5
    assert dataclasses.replace(method, rank="5") == Method(rank=5)


def test_fields_are_given_by_name_alone():
    with pytest.raises(TypeError):
        Method(4)


def test_field_types_are_resolved():
    assert field_types(Sized) == {"size": int, "ratio": float}


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(ConfigError) as caught:
        Method(rank="x" * 10_000)
    assert len(str(caught.value)) < 250
