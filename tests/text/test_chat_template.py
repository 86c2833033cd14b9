from __future__ import annotations

import json
import time
from datetime import datetime

import pytest

from tfft.core.errors import DataError
from tfft.models.tokenizer_files import read_tokenizer, word_piece
from tfft.text import chat_template
from tfft.text.chat_template import ChatTemplate
from tfft.text.chat_template_files import read_chat_template

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
)


MARKED = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<|end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|end|>{% endif %}{% endfor %}"
)


def chat(*roles):
    return [{"role": role, "content": role[0]} for role in roles]


def test_answers_are_told_from_what_is_asked():
    [one] = ChatTemplate(CHATML).render(
        [chat("system", "user", "assistant", "user", "assistant", "user")],
        answered=True,
    )
    assert one.segments == (
        ("<|system|>s<|end|><|user|>u<|end|><|assistant|>", False),
        ("a<|end|>", True),
        ("<|user|>u<|end|><|assistant|>", False),
        ("a<|end|>", True),
        ("<|user|>u<|end|>", False),
    )


def test_a_prompt_ends_where_the_model_goes_on():
    [one] = ChatTemplate(CHATML).render([chat("user")], answered=False)
    assert one.segments == (("<|user|>u<|end|><|assistant|>", False),)


def test_special_tokens_reach_the_template():
    template = ChatTemplate("{{ bos_token }}{{ eos_token }}", (("bos_token", "<s>"),))
    assert template.render([chat("user")], answered=False)[0].segments[0][0] == "<s>"


def test_a_template_refuses_one_conversation_and_not_the_others():
    found = ChatTemplate(STRICT).render(
        [chat("user", "assistant"), chat("user", "assistant", "assistant")],
        answered=True,
    )
    assert [one.problem for one in found] == ["", "roles must alternate"]


def test_a_template_that_rewrites_earlier_turns_is_said():
    source = "{{ messages | length }}" + CHATML
    [one] = ChatTemplate(source).render([chat("user", "assistant")], answered=True)
    assert "rewrites earlier turns" in one.problem


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='system') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ ''.format.__self__.__class__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ strftime_now.__globals__ }}",
        "{{ strftime_now.__closure__[0].cell_contents }}",
        "{{ (messages | tojson).__class__.__base__ }}",
        "{% generation %}{{ caller.__globals__ }}{% endgeneration %}",
        "{{ dict.__mro__ }}",
    ],
)
def test_escapes_do_not_get_out(escape):
    [one] = ChatTemplate(escape).render([chat("user")], answered=False)
    text = "".join(text for text, _ in one.segments)
    assert one.problem or text == ""


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}"
        "{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 10 ** (10 ** 9) }}",
        "{{ messages | tojson(indent=10 ** 9) }}",
    ],
)
def test_bombs_are_ended(bomb):
    start = time.monotonic()
    with pytest.raises(DataError, match=r"too much memory|no end"):
        ChatTemplate(bomb, where="folder").render([chat("user")], answered=False)
    # Two seconds of its own time; the rest is for a machine that is busy.
    assert time.monotonic() - start < 30


def test_long_conversations_have_more_time(monkeypatch):
    given = []

    def run(self, request, seconds):
        given.append(seconds)
        chats = json.loads(request)["chats"]
        return {"results": [{"segments": [], "marked": False}] * len(chats)}

    monkeypatch.setattr(ChatTemplate, "_run", run)
    short, long = chat("user", "assistant"), chat("user", "assistant") * 20
    for chats in ([short], [short] * 1000, [long] * 1000):
        ChatTemplate(CHATML).render(chats, answered=True)
    # Twenty answers: forty messages are rendered 41 times.
    assert given == [2, 4, 2 + 2 + 40 * 41 * 1000 // 50_000]


def test_a_template_of_a_size_that_none_has_is_refused():
    with pytest.raises(DataError, match="65,537 bytes"):
        ChatTemplate("x" * (64 * 1024 + 1))
    ChatTemplate("x" * 64 * 1024)


def test_what_is_no_template_is_said():
    with pytest.raises(DataError, match="cannot be used"):
        ChatTemplate("{% if").render([chat("user")], answered=False)


def test_templates_are_read_from_either_file(tmp_path):
    config = {"chat_template": "old"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = read_chat_template(tmp_path, {"eos": "</s>", "bos": "<s>"})
    assert found.source == "old"
    assert found.tokens == (("bos_token", "<s>"), ("eos_token", "</s>"))
    (tmp_path / "chat_template.jinja").write_text("new")
    assert read_chat_template(tmp_path).source == "new"


def render(source, messages, answered=True, **variables):
    [one] = ChatTemplate(source).render(
        [messages], answered=answered, variables=[variables]
    )
    return one


def text(one):
    return "".join(text for text, _ in one.segments) or one.problem


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ tools is none }}{{ documents is none }}", "TrueTrue"),
        ("{{ tools is not none }}{{ tools is defined }}", "FalseTrue"),
        ("{{ bos_token is defined }}{{ unheard_of is defined }}", "FalseFalse"),
        ("{% for i in range(5) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}"
         "{% endfor %}", "01"),
        ("{{ {'b': 'ä<', 'a': [1]} | tojson }}", '{"b": "ä<", "a": [1]}'),
        ("{{ {'b': 'ä', 'a': 1} | tojson(ensure_ascii=True, sort_keys=True) }}",
         '{"a": 1, "b": "\\u00e4"}'),
        ("{{ {'a': [1]} | tojson(separators=(',', ':')) }}", '{"a":[1]}'),
        ("{{ {'a': 1} | tojson(indent=2) }}", '{\n  "a": 1\n}'),
        ("{% if true %}\n  a\n  {% endif %}\nb", "  a\nb"),
        ("{{ raise_exception('not so') }}", "not so"),
    ],
)  # fmt: skip
def test_templates_find_what_transformers_gives_them(source, expected):
    assert text(render(source, chat("user"))) == expected


def test_all_texts_tell_the_same_time(monkeypatch):
    monkeypatch.setattr(chat_template, "datetime", Noon)
    form = "{{ strftime_now('%d %b %Y, %H:%M') }}"
    assert text(render(form, chat("user"))) == "29 Feb 2024, 12:00"


class Noon(datetime):
    @classmethod
    def now(cls):
        return cls(2024, 2, 29, 12)


def test_messages_come_without_nulls_and_with_every_name_of_reasoning():
    message = {"role": "user", "content": None, "reasoning": "so"}
    source = "{% for key, value in messages[0].items() %}{{ key }}={{ value }};"
    assert text(render(source + "{% endfor %}{# reasoning #}", [message])) == (
        "thinking=so;role=user;reasoning=so;reasoning_content=so;"
    )


def test_marks_of_the_template_say_what_is_learned():
    one = render(MARKED, chat("user", "assistant", "assistant"))
    assert one.marked
    assert one.segments == (
        ("<|user|>u<|end|><|assistant|>", False),
        ("a<|end|>", True),
        ("<|assistant|>", False),
        ("a<|end|>", True),
    )


@pytest.mark.parametrize(
    "source",
    [
        "{% macro said() %}so: {% generation %}yes{% endgeneration %}{% endmacro %}"
        "{{ said() }}",
        "{% set said %}so: {% generation %}yes{% endgeneration %}{% endset %}"
        "{{ said }}",
    ],
)
def test_marks_whose_place_is_unknown_are_refused(source):
    assert "a macro or {% set %}" in render(source, chat("assistant")).problem


def test_marks_that_leave_the_answers_out_are_said():
    source = "{% if false %}{% generation %}{% endgeneration %}{% endif %}" + CHATML
    assert "marks nothing" in render(source, chat("assistant")).problem


@pytest.mark.parametrize("source", [CHATML, MARKED])
def test_an_answer_of_weight_0_is_not_learned(source):
    first, second = chat("assistant", "assistant")
    one = render(source, [{**first, "weight": 0}, {**second, "weight": 1}])
    assert [said for text, said in one.segments if text == "a<|end|>"] == [False, True]


def test_what_follows_the_last_turn_alone_is_no_part_of_an_answer():
    source = CHATML + "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}"
    template = ChatTemplate(source, (("eos_token", "</s>"),))
    found = template.render(
        [chat("user", "assistant"), chat("assistant", "user", "assistant")],
        answered=True,
    )
    assert [one.segments[-2:] for one in found] == [
        (("a<|end|>", True), ("</s>", False))
    ] * 2
    ended = ChatTemplate(CHATML.replace("<|end|>", "</s>"), (("eos_token", "</s>"),))
    [one] = ended.render([chat("user", "assistant")], answered=True)
    assert one.segments[-1] == ("a</s>", True)


def test_what_json_cannot_hold_is_there_by_its_type():
    message = {"role": "user", "content": "a", "sent": datetime(2024, 2, 29)}
    assert text(render("{{ messages[0].sent }}", [message])) == "<datetime>"


def test_an_answer_of_weight_0_needs_marks_that_tell_it_apart():
    source = "{% generation %}{{ messages | length }}{% endgeneration %}"
    first, second = chat("assistant", "assistant")
    found = render(source, [{**first, "weight": 0}, second])
    assert "marks 1 passages" in found.problem


TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("message", "variables", "name"),
    [
        ({"tool_calls": TOOLS}, {}, "tool_calls"),
        ({"content": "a", "reasoning_content": "so"}, {}, "reasoning_content"),
        ({"content": "a", "thinking": "so"}, {}, "thinking"),
        ({"content": "a"}, {"tools": TOOLS}, "tools"),
    ],
)
def test_what_a_template_would_drop_is_said(message, variables, name):
    messages = [*chat("user"), {"role": "assistant", **message}]
    assert render(CHATML, messages, **variables).problem == f"it does not write {name}"
    assert not render(CHATML, chat("user", "assistant"), tools=[]).problem


def test_an_answer_that_stands_last_is_continued():
    messages = [*chat("user"), {"role": "assistant", "content": "Well, "}]
    [one] = ChatTemplate(CHATML).render([messages], answered=False)
    assert text(one) == "<|user|>u<|end|><|assistant|>Well, "
    stripped = CHATML.replace("m.content", "m.content | trim")
    assert text(render(stripped, messages, answered=False)).endswith("|>Well,")
    upper = CHATML.replace("m.content", "m.content | upper")
    assert "does not write the answer" in render(upper, messages, False).problem
    assert (
        "no content"
        in render(CHATML, [{"role": "assistant", "name": "x"}], answered=False).problem
    )


def test_conversations_with_tools_get_the_template_for_tools():
    template = ChatTemplate("plain", named=(("tool_use", "{{ tools[0].name }}"),))
    found = template.render(
        [chat("user")] * 2, answered=False, variables=[{}, {"tools": [{"name": "f"}]}]
    )
    assert [text(one) for one in found] == ["plain", "f"]


def test_a_saved_tokenizer_keeps_every_template(tmp_path):
    tokenizer = word_piece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])
    template = ChatTemplate("d", (), "here", (("rag", "r"), ("tool_use", "t")))
    tokenizer.chat_template = template
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "eos_token": {"content": "[SEP]"}}))
    found = read_tokenizer(tmp_path).chat_template
    assert dict(found.tokens)["eos_token"] == "[SEP]"
    assert (found.source, found.named) == (template.source, template.named)


def test_templates_in_files_count_before_the_config(tmp_path):
    several = [
        {"name": "tool_use", "template": "t"},
        {"name": "default", "template": "d"},
    ]
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": several}))
    found = read_chat_template(tmp_path)
    assert (found.source, found.named) == ("d", (("tool_use", "t"),))
    assert sorted(map(str, found.config)) == sorted(map(str, several))
    folder = tmp_path / "additional_chat_templates"
    folder.mkdir()
    (folder / "rag.jinja").write_text("r")
    with pytest.raises(DataError, match="one of them named default"):
        read_chat_template(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("new")
    found = read_chat_template(tmp_path)
    assert (found.source, found.named) == ("new", (("rag", "r"),))
    (folder / "rag.jinja").write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        read_chat_template(tmp_path)


def test_a_folder_may_have_no_template_or_several(tmp_path):
    assert read_chat_template(tmp_path) is None
    several = [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"chat_template": several}))
    assert read_chat_template(tmp_path).source == "d"
    path.write_text(json.dumps({"chat_template": 5}))
    with pytest.raises(DataError, match="not text"):
        read_chat_template(tmp_path)
