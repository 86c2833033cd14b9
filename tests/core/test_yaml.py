"""YAML is read by the rules of YAML 1.2's core, and nothing in it is run."""

from __future__ import annotations

import math

import pytest

from tfft.core import yaml
from tfft.core.errors import ConfigError, MissingInputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("0", 0),
        ("-3", -3),
        ("+3", 3),
        ("010", 10),
        ("08", 8),
        ("-.inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("No", "No"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ("=", "="),
    ],
)
def test_plain_words(text, expected):
    value = yaml.load(text)
    assert value == expected
    assert type(value) is type(expected)


def test_nan_is_a_number():
    assert math.isnan(yaml.load(".nan"))


def test_lists_and_mappings():
    text = "method: {name: lora, rank: 4}\nlabels: [no, yes]\n? on\n: 1\n"
    assert yaml.load(text) == {
        "method": {"name": "lora", "rank": 4},
        "labels": ["no", "yes"],
        "on": 1,
    }


def test_a_merge_key_is_a_key_as_any_other():
    assert yaml.load("<<: {a: 1}\nb: 2") == {"<<": {"a": 1}, "b": 2}


@pytest.mark.parametrize(
    ("text", "problem", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' occurs twice", "x.yaml:3:1"),
        ("a:\n  b: 1\n  b: 1\n", "key 'b' occurs twice", "x.yaml:3:3"),
        ("a: &x 1\nb: *x\n", "aliases are not allowed", "x.yaml:2:4"),
        ("a: 1\nb: [1,\n", "expected the node content", "x.yaml:3:1"),
        ("a: 1\n b: 2\n", "mapping values are not allowed here", "x.yaml:2:3"),
        ("a: 1\n---\nb: 2\n", "but found another document", "x.yaml:2:1"),
        ("a: 1\n? [1]\n: 2\n", "key is a list or mapping", "x.yaml:2:3"),
        ("a: 1\nb: \x07\n", "special characters are not allowed", "x.yaml:2"),
        ("a: " + "9" * 5000, "number with too many digits", "x.yaml:1:4"),
        ("[" * 100_000, "nested too deeply", "x.yaml"),
    ],
)
def test_broken_text_is_refused_with_its_place(text, problem, where):
    with pytest.raises(ConfigError) as caught:
        yaml.load(text, where="x.yaml")
    assert problem in caught.value.what
    assert caught.value.where == where


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:builtins.open [{}, w]",
        "!!python/name:os.system",
        "!!python/object/new:type [x, [], {{}}]",
        "!!binary eA==",
        "!!timestamp x",
        "!!float x",
        "!own {{}}",
    ],
)
def test_tags_are_refused_and_nothing_is_run(tmp_path, value):
    file = tmp_path / "made"
    with pytest.raises(ConfigError, match=r"tag .* is not allowed") as caught:
        yaml.load("a: 1\nb: " + value.format(file), where="x.yaml")
    assert caught.value.where == "x.yaml:2:4"
    assert not file.exists()


def test_one_megabyte_is_the_most():
    assert yaml.load("'" + "a" * 999_998 + "'") == "a" * 999_998
    with pytest.raises(ConfigError, match="1,000,001 characters") as caught:
        yaml.load("'" + "a" * 999_999 + "'", where="x.yaml")
    assert caught.value.expected == "at most 1 MB of YAML"


def test_a_file_of_options(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("learning_rate: 1e-5\nlabel: Größe\n", encoding="utf-8")
    assert yaml.load_mapping(file) == {"learning_rate": 1e-5, "label": "Größe"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"- a\n", "contains a list"),
        (b"", "contains a NoneType"),
        (b"1: a\n", "contains a dict"),
        (b"a: \xff\n", "byte 3 is not UTF-8"),
    ],
)
def test_a_file_of_anything_else_is_refused(tmp_path, content, what):
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        yaml.load_mapping(file)
    assert caught.value.what == what
    assert caught.value.where == str(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"no such file: .*run\.yaml"):
        yaml.load_mapping(tmp_path / "run.yaml")


def test_a_broken_file_gives_file_and_line(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("a: 1\nb: 'open\n")
    with pytest.raises(ConfigError) as caught:
        yaml.load_mapping(file)
    assert caught.value.where == f"{file}:3:1"
