from __future__ import annotations

import pytest

from tfft.core.errors import ConfigError, DataError
from tfft.data.conversations import (
    Conversation,
    Problem,
    Turn,
    detect,
    parse,
    parse_templated,
    template_columns,
)
from tfft.data.table import Table

USER, ASSISTANT = ({"role": role, "content": "x"} for role in ("user", "assistant"))


def table(*columns):
    return Table({name: ["x"] for name in columns}, "rows.jsonl", lines=(1,))


@pytest.mark.parametrize(
    ("columns", "form"),
    [
        (["text"], "text"),
        (["text", "id"], "text"),
        (["prompt", "completion"], "prompt_completion"),
        (["messages"], "messages"),
        (["instruction", "input", "output"], "alpaca"),
        (["instruction", "output", "system"], "alpaca"),
        (["conversations"], "sharegpt"),
    ],
)
def test_the_columns_say_the_form(columns, form):
    assert detect(table(*columns)) == form


def test_columns_of_two_forms_or_of_none_are_refused():
    with pytest.raises(ConfigError, match="several formats: messages, text"):
        detect(table("messages", "text"))
    with pytest.raises(ConfigError, match=r"columns source, target .* task.template"):
        detect(table("source", "target"))


def test_every_form_becomes_one():
    turns = (Turn("user", "a\nb"), Turn("assistant", "c"))
    chat = [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "c"}]
    said = [{"from": "human", "value": "a\nb"}, {"from": "gpt", "value": "c"}]
    expected = Conversation(turns=turns)
    assert parse({"messages": chat}, "messages") == expected
    assert parse({"conversations": said}, "sharegpt") == expected
    alpaca = {"instruction": "a", "input": "b", "output": "c"}
    assert parse(alpaca, "alpaca") == expected
    assert parse({**alpaca, "input": ""}, "alpaca").turns[0].content == "a"
    assert parse({"text": "abc"}, "text") == Conversation(completion="abc")
    pair = {"prompt": "a", "completion": "b"}
    assert parse(pair, "prompt_completion") == Conversation((), "a", "b")


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "robot", "content": "x"}, ASSISTANT], "1: unknown role 'robot'"),
        ([USER, {"role": "assistant", "content": " "}], "2: empty content"),
        ([USER, {"role": "assistant"}], "2: field content is missing"),
        ([{"content": "x"}, ASSISTANT], "1: field role is missing"),
        ([USER, {"role": "assistant", "content": 7}], "2: content is int instead of"),
        ([{"role": None, "content": "x"}], "1: role is NoneType instead of text"),
        (["hello"], "1: str instead of a message"),
        ([], "not a list of messages"),
        ("hello", "not a list of messages"),
        (None, "messages is missing"),
        ([USER], "no message of an assistant"),
    ],
)
def test_malformed_messages_say_which_and_why(messages, reason):
    found = parse({"messages": messages}, "messages")
    assert isinstance(found, Problem)
    assert found.column == "messages"
    assert reason in found.reason


@pytest.mark.parametrize(
    ("row", "form", "column", "reason"),
    [
        ({"text": ""}, "text", "text", "empty text"),
        ({"text": 5}, "text", "text", "int instead of text"),
        (
            {"prompt": "a", "completion": None},
            "prompt_completion",
            "completion",
            "miss",
        ),
        ({"prompt": " ", "completion": "b"}, "prompt_completion", "prompt", "empty"),
        ({"instruction": "a", "output": ""}, "alpaca", "output", "empty text"),
        ({"instruction": "a", "input": 5, "output": "b"}, "alpaca", "input", "int"),
    ],
)
def test_malformed_columns_say_which_and_why(row, form, column, reason):
    found = parse(row, form)
    assert isinstance(found, Problem)
    assert found.column == column
    assert reason in found.reason


def test_what_only_asks_needs_no_answer():
    assert parse({"prompt": "a"}, "prompt_completion", answered=False).prompt == "a"
    alpaca = parse({"instruction": "a"}, "alpaca", answered=False)
    assert alpaca.turns == (Turn("user", "a"),)
    assert parse({"messages": [USER]}, "messages", answered=False).turns[0][0] == "user"


def test_a_template_makes_prompts_of_plain_columns():
    rows = Table({"en": ["cat", ""], "de": ["Katze", "x"]}, "pairs.csv", lines=(2, 3))
    found = parse_templated(rows, "{{German}} for {en}:", "de")
    assert found[0] == Conversation((), "{German} for cat:", "Katze")
    assert found[1] == Problem("en", "empty text")
    with pytest.raises(DataError, match='column "fr" is missing'):
        parse_templated(rows, "{en}", "fr")


@pytest.mark.parametrize("template", ["{", "{}", "plain", "{a.b}", "{a!r}", "{a:5}"])
def test_templates_hold_names_alone(template):
    with pytest.raises(ConfigError, match="template"):
        template_columns(template)
