"""Templates of twelve families, rendered and encoded as transformers does it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import tokenizers

from tests.goldens import ROOT
from tfft.data.conversations import parse
from tfft.serving.text_to_ids import TextToIds
from tfft.tasks.language.encode import encode_conversations
from tfft.text import chat_template
from tfft.text.chat_template import ChatTemplate
from tfft.text.tokenizer import Tokenizer

GOLDEN = ROOT / "chat-templates"
REFERENCE = json.loads((GOLDEN / "reference.json").read_text("utf-8"))
FAMILIES = sorted(REFERENCE["templates"])
SOURCES = Path(__file__).parents[1] / "chat_templates"
MARKS = re.compile(r"{%-? (end)?generation -?%}")
# What only these families write; the others refuse rows with it.
WRITES = {"tools": ("qwen25", "tools"), "thinking": ("generation",)}


class Noon(datetime):
    """The day on which transformers made the goldens."""

    @classmethod
    def now(cls):
        """Returns a leap day."""
        return cls(2024, 2, 29, 12)


@pytest.fixture(autouse=True)
def _same_day(monkeypatch):
    monkeypatch.setattr(chat_template, "datetime", Noon)


def tokenizer_of(name, *, marked):
    reference = REFERENCE["templates"][name]
    source = (SOURCES / f"{name}.jinja").read_text("utf-8")
    roles = {
        role: reference[f"{role}_token"]
        for role in ("bos", "eos")
        if reference[f"{role}_token"] is not None
    }
    template = ChatTemplate(
        source if marked else MARKS.sub("", source),
        tuple((f"{role}_token", token) for role, token in roles.items()),
    )
    library = tokenizers.Tokenizer.from_file(
        str(GOLDEN / f"{reference['tokenizer']}.json")
    )
    return Tokenizer(library, roles, template)


def cases(name):
    """Yields the conversations that a family writes in full, and what they become."""
    reference = REFERENCE["templates"][name]["cases"]
    for case, row in REFERENCE["cases"].items():
        thinks = "thinking" in row["messages"][-1]
        unread = thinks and name not in WRITES["thinking"]
        unread |= "tools" in row and name not in WRITES["tools"]
        yield case, row, reference[case], unread


def learned_runs(one):
    marks = [False, *one.learned, False]
    edges = [
        place for place in range(len(marks) - 1) if marks[place] != marks[place + 1]
    ]
    return [list(run) for run in zip(edges[::2], edges[1::2], strict=True)]


def encoded(tokenizer, rows, **options):
    conversations = [parse(row, "messages", **options) for row in rows]
    return encode_conversations(conversations, tokenizer, max_length=1000, **options)


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        *((name, True) for name in FAMILIES),
        # Its earlier turns change: nothing but marks can tell them apart.
        *((name, False) for name in FAMILIES if name != "generation"),
    ],
)
def test_rows_are_learned_as_transformers_masks_them(name, marked):
    names, rows, expected, unread = zip(*cases(name), strict=True)
    found = encoded(tokenizer_of(name, marked=marked), rows)
    for case, one, right, dropped in zip(names, found, expected, unread, strict=True):
        if dropped:
            assert "it does not write t" in one.problem, case
        elif "error" in right:
            assert one.problem.endswith(right["error"]), case
        else:
            assert one.problem == "", case
            assert one.token_ids == right["ids"], case
            assert learned_runs(one) == right["learned"], case


def written(name):
    """Returns the conversations that a family writes without a complaint."""
    kept = [
        (row, right)
        for _, row, right, unread in cases(name)
        if not unread and "error" not in right
    ]
    return tuple(zip(*kept, strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_are_those_of_transformers(name):
    tokenizer = tokenizer_of(name, marked=False)
    rows, expected = written(name)
    asked = [{**row, "messages": row["messages"][:-1]} for row in rows]
    found = encoded(tokenizer, asked, answered=False)
    assert [one.problem for one in found] == [""] * len(rows)
    assert [one.token_ids for one in found] == [one["prompt_ids"] for one in expected]
    assert prompts(tokenizer, asked) == [one["prompt"] for one in expected]


def prompts(tokenizer, rows):
    chats = [parse(row, "messages", answered=False) for row in rows]
    texts = tokenizer.chat_template.render(
        [[turn.message for turn in chat.turns] for chat in chats],
        answered=False,
        variables=[dict(chat.variables) for chat in chats],
    )
    return ["".join(text for text, _ in one.segments) for one in texts]


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_are_continued_as_by_transformers(name):
    rows, expected = written(name)
    begun = []
    for row in rows:
        *earlier, last = row["messages"]
        last = {**last, "content": last["content"] + " and "}
        begun.append({**row, "messages": [*earlier, last]})
    found = prompts(tokenizer_of(name, marked=True), begun)
    assert found == [one["continued"] for one in expected]


def test_prompts_have_the_same_ids_where_they_are_served():
    import tensorflow as tf

    graph = TextToIds(tokenizer_of("chatml", marked=False), max_length=64)
    prompts = [one for name in FAMILIES for one in written(name)[1]]
    texts = tf.constant([one["prompt"] for one in prompts])
    found = graph.ids(texts, split_special_tokens=False).to_list()
    assert found == [one["served_ids"] for one in prompts]
