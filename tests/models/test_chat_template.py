from __future__ import annotations

import json
import time

import pytest

from tfft.core.errors import DataError
from tfft.models.chat_template import ChatTemplate, read_chat_template

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
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
    ],
)
def test_bombs_are_ended(bomb):
    start = time.monotonic()
    with pytest.raises(DataError, match=r"too much memory|no end"):
        ChatTemplate(bomb, where="folder").render([chat("user")], answered=False)
    # Two seconds of its own time; the rest is for a machine that is busy.
    assert time.monotonic() - start < 30


def test_a_template_of_a_size_that_none_has_is_refused():
    with pytest.raises(DataError, match="65,537 bytes"):
        ChatTemplate("x" * (64 * 1024 + 1))
    ChatTemplate("x" * 64 * 1024)


def test_what_is_no_template_is_said():
    with pytest.raises(DataError, match="cannot be used"):
        ChatTemplate("{% if").render([chat("user")], answered=False)


def test_templates_are_read_from_either_file(tmp_path):
    config = {"chat_template": "old", "eos_token": {"content": "</s>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = read_chat_template(tmp_path)
    assert found.source == "old"
    assert dict(found.tokens)["eos_token"] == "</s>"
    (tmp_path / "chat_template.jinja").write_text("new")
    assert read_chat_template(tmp_path).source == "new"


def test_a_folder_may_have_no_template_or_several(tmp_path):
    assert read_chat_template(tmp_path) is None
    several = [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"chat_template": several}))
    assert read_chat_template(tmp_path).source == "d"
    path.write_text(json.dumps({"chat_template": 5}))
    with pytest.raises(DataError, match="not text"):
        read_chat_template(tmp_path)
