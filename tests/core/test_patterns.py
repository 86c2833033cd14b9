"""Patterns mean names, tails, globs or whole regular expressions."""

from __future__ import annotations

import pytest

from tfft.core.errors import ConfigError
from tfft.core.patterns import matches, select

PLACES = [
    (
        f"layers.{i}.attention.{part}",
        f"encoder.layer.{i}.attention.self.{part}",
        f"transformer_layer_{i}.self_attention_layer.{part}",
    )
    for i in range(3)
    for part in ("query", "value")
]  # indices: 0 query of layer 0, 1 value of layer 0, 2 query of layer 1, ...


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("layers.0.attention.query", "layers.0.attention.query", True),
        ("attention.query", "layers.0.attention.query", True),
        ("uery", "layers.0.attention.query", False),
        ("layers.0", "layers.0.attention.query", False),
        ("Query", "layers.0.attention.query", False),
        ("", "layers.0.attention.query", False),
        ("*.query", "layers.0.attention.query", True),
        ("layers.?.attention.*", "layers.0.attention.query", True),
        ("layers.?.attention.*", "layers.10.attention.query", False),
        ("layers.[!0]*", "layers.0.attention.query", False),
        (r"re:.*\.(query|key)", "layers.0.attention.query", True),
        (r"re:query", "layers.0.attention.query", False),
        (r"re:layers\.1\..*", "layers.10.attention.query", False),
    ],
)
def test_what_a_pattern_means(pattern, name, expected):
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["query"], [0, 2, 4]),
        (["value", "query"], [0, 1, 2, 3, 4, 5]),
        (["query", "layers.0.*"], [0, 1, 2, 4]),
        (["encoder.layer.2.attention.self.value"], [5]),
        (["transformer_layer_1.*.query"], [2]),
        ([r"re:layers\.[12]\.attention\.query"], [2, 4]),
    ],
)
def test_select_returns_each_place_once_in_order(patterns, expected):
    assert select(patterns, PLACES, where="target") == expected


@pytest.mark.parametrize(
    ("pattern", "fix"),
    [
        ("qury", 'did you mean "query"?'),
        ("pooler", "see tfft inspect --model"),
        ("re:nothing", "see tfft inspect --model"),
    ],
)
def test_a_pattern_without_a_match_is_named(pattern, fix):
    with pytest.raises(ConfigError) as caught:
        select(["query", pattern], PLACES, where="lora.target")
    assert caught.value.what == f"pattern {pattern!r} matches no layer"
    assert caught.value.where == "lora.target"
    assert caught.value.expected == "a part of: attention.query, attention.value"
    assert caught.value.fix == fix


def test_a_broken_expression_is_named():
    with pytest.raises(ConfigError, match="'re:\\(query' is not a regular") as caught:
        select(["re:(query"], PLACES, where="target")
    assert caught.value.fix == "correct the expression after re:"


def test_no_pattern_at_all_is_refused():
    with pytest.raises(ConfigError, match="no pattern is given"):
        select([], PLACES, where="target")
