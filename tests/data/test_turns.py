"""Rows with tools, calls, reasoning, weights, systems and histories."""

from __future__ import annotations

import json

import pytest

from tfft.data.conversations import Conversation, Problem, Turn, parse, row_texts

CALL = {"type": "function", "function": {"name": "sum", "arguments": {"of": [1, 2]}}}
TOOL = {"name": "sum", "parameters": {"type": "object"}}
WRAPPED = {"type": "function", "function": TOOL}
ASKED = {"role": "user", "content": "1+2?"}
SAID = {"role": "assistant", "content": "3"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
GIVEN = {"role": "tool", "content": "3", "tool_call_id": "a1", "name": "sum"}


def messages(*these, **columns):
    return parse({"messages": these, **columns}, "messages")


def test_calls_and_whatever_a_template_may_read_stay_with_their_message():
    found = messages(ASKED, CALLED, GIVEN, {**SAID, "reasoning_content": "1+2=3"})
    assert [turn.message for turn in found.turns] == [
        ASKED,
        CALLED,
        GIVEN,
        {**SAID, "reasoning_content": "1+2=3"},
    ]
    assert '"name": "sum"' in row_texts(found)[2]
    assert "1+2=3" in row_texts(found)


def test_what_is_null_is_as_good_as_left_out():
    nothing = dict.fromkeys(("tool_calls", "name", "weight", "thinking"))
    assert messages({**ASKED, **nothing}, {**SAID, **nothing}) == messages(ASKED, SAID)
    empty = dict.fromkeys(("tools", "system", "chat_template_kwargs"))
    assert messages(ASKED, SAID, **empty) == messages(ASKED, SAID)


@pytest.mark.parametrize("tools", [[WRAPPED], json.dumps([WRAPPED]), (WRAPPED,)])
def test_tools_are_a_list_or_its_json(tools):
    found = messages(ASKED, SAID, tools=tools, chat_template_kwargs={"date": "today"})
    assert dict(found.variables) == {"tools": [WRAPPED], "date": "today"}
    assert messages(ASKED, SAID, tools="").variables == ()


def test_answers_of_weight_0_are_not_learned():
    found = messages(ASKED, {**SAID, "weight": 0}, {**SAID, "weight": 1}, SAID)
    assert [turn.learned for turn in found.turns] == [False, False, True, True]


def test_a_system_column_comes_first():
    turns = (Turn("system", "s"), Turn("user", "1+2?"), Turn("assistant", "3"))
    said = [{"from": "human", "value": "1+2?"}, {"from": "gpt", "value": "3"}]
    whole = [{"from": "system", "value": "s"}, *said]
    for row, form in [
        ({"messages": [ASKED, SAID]}, "messages"),
        ({"conversations": said}, "sharegpt"),
        ({"conversations": whole}, "sharegpt"),
        ({"instruction": "1+2?", "input": "", "output": "3"}, "alpaca"),
    ]:
        assert parse({**row, "system": "s"}, form).turns == turns
    found = parse({"conversations": whole, "system": "t"}, "sharegpt")
    assert found == Problem("system", "differs from the first message of conversations")


def test_a_history_of_alpaca_is_said_before():
    row = {"instruction": "c", "output": "d", "history": [["a", "b"]], "system": ""}
    roles = ("user", "assistant", "user", "assistant")
    assert parse(row, "alpaca").turns == tuple(map(Turn, roles, "abcd"))
    asked = parse({**row, "output": None}, "alpaca", answered=False)
    assert asked.turns == tuple(map(Turn, roles[:3], "abc"))
    assert parse({**row, "history": None}, "alpaca").turns == tuple(
        map(Turn, roles[2:], "cd")
    )


def test_sharegpt_of_llama_factory_calls_tools():
    row = {
        "conversations": [
            {"from": "human", "value": "1+2?"},
            {"from": "function_call", "value": json.dumps(CALL["function"])},
            {"from": "observation", "value": "3"},
            {"from": "gpt", "value": "3"},
        ],
        "tools": json.dumps([TOOL]),
    }
    found = parse(row, "sharegpt")
    assert found.turns == (
        Turn("user", "1+2?"),
        Turn("assistant", None, (("tool_calls", [CALL]),)),
        Turn("tool", "3"),
        Turn("assistant", "3"),
    )
    assert dict(found.variables) == {"tools": [WRAPPED]}
    assert parse({**row, "tools": "[]"}, "sharegpt").variables == ()
    both = json.dumps([CALL["function"]] * 2)
    row["conversations"][1]["value"] = both
    assert dict(parse(row, "sharegpt").turns[1].fields)["tool_calls"] == [CALL] * 2


def test_either_spelling_of_keys_will_do():
    renamed = [{"role": "human", "content": "1+2?"}, {"role": "gpt", "content": "3"}]
    assert parse({"conversations": renamed}, "sharegpt") == messages(ASKED, SAID)
    spelled = [{"from": "user", "value": "1+2?"}, {"from": "assistant", "value": "3"}]
    assert messages(*spelled) == messages(ASKED, SAID)


def test_prompt_and_completion_may_be_messages():
    row = {"prompt": [ASKED, SAID, ASKED], "completion": [SAID], "tools": [WRAPPED]}
    found = parse(row, "prompt_completion")
    assert [turn.learned for turn in found.turns] == [False, False, False, True]
    assert dict(found.variables) == {"tools": [WRAPPED]}
    asked = parse(row, "prompt_completion", answered=False)
    assert [turn.message for turn in asked.turns] == row["prompt"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "assistant", "content": None}, "content is NoneType instead"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "content is None"),
        ({**CALLED, "tool_calls": "[]"}, "tool_calls is str instead of a list"),
        ({**CALLED, "tool_calls": ["f"]}, "tool_calls holds something other than"),
        ({**ASKED, "tool_calls": [CALL]}, "tool_calls with the role user"),
        ({**SAID, "weight": 0.5}, "weight is 0.5, not 0 or 1"),
        ({**SAID, "weight": "0"}, "weight is '0', not 0 or 1"),
        ({**ASKED, "weight": 1}, "weight 1 with the role user"),
        ({**SAID, "thinking": ["so"]}, "thinking is list instead of text"),
        ({**SAID, "function_call": {}}, "function_call is not read; write tool_calls"),
        ({**SAID, "train": False}, "train is not read; write weight"),
        ({**SAID, "content": [{"type": "text"}]}, "content is list instead of text"),
    ],
)
def test_what_cannot_be_read_is_said_by_name(message, reason):
    found = messages(ASKED, SAID, message)
    assert found.column == "messages"
    assert found.reason.startswith(f"message 3: {reason}")


@pytest.mark.parametrize(
    ("row", "form", "column", "reason"),
    [
        ({"tools": "[1"}, "messages", "tools", "not JSON"),
        ({"tools": {"name": "f"}}, "messages", "tools", "dict instead of a list"),
        ({"tools": ["f"]}, "messages", "tools", "tool 1 is str instead of an object"),
        ({"system": 5}, "messages", "system", "int instead of text"),
        ({"chat_template_kwargs": "x"}, "messages", "chat_template_kwargs", "str"),
        ({"history": [["a"]]}, "alpaca", "history", "list of pairs"),
        ({"history": "a"}, "alpaca", "history", "list of pairs"),
        ({"history": [["a", None]]}, "alpaca", "history", "list of pairs"),
        ({"system": "s"}, "prompt_completion", "system", "cannot use system"),
        ({"tools": [TOOL]}, "prompt_completion", "tools", "cannot use tools"),
    ],
)
def test_columns_that_cannot_be_read_are_said_by_name(row, form, column, reason):
    columns = {
        "messages": [ASKED, SAID],
        "instruction": "a",
        "prompt": "a",
        "completion": "b",
        "output": "b",
    }
    found = parse({**columns, **row}, form)
    assert (found.column, reason in found.reason) == (column, True)


def test_a_row_whose_answers_all_have_weight_0_teaches_nothing():
    found = messages(ASKED, {**SAID, "weight": 0})
    assert found.reason == "every message of an assistant has weight 0"


@pytest.mark.parametrize("value", ["f(1)", '{"name": "f"}', "[]", None])
def test_a_function_call_is_json_with_a_name_and_arguments(value):
    said = [{"from": "human", "value": "a"}, {"from": "function_call", "value": value}]
    assert "JSON object with name" in parse({"conversations": said}, "sharegpt").reason


def test_a_tool_may_return_nothing():
    assert isinstance(
        messages(ASKED, CALLED, {**GIVEN, "content": ""}, SAID), Conversation
    )
