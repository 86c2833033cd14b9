"""What is learned of a row, read back as text."""

from __future__ import annotations

import pytest

from tfft.core.errors import ConfigError, DataError
from tfft.data.conversations import Conversation, Turn
from tfft.data.table import Table
from tfft.models.pretrained import load_pretrained
from tfft.tasks.causal_lm import CausalLanguageModelling
from tfft.tasks.language.encode import encode_conversations
from tfft.text.chat_template import ChatTemplate
from tfft.text.language_ids import decode

CHAT = Conversation(
    turns=(Turn("user", "hi"), Turn("assistant", "yes"), Turn("user", "?"))
)


def encode(tokenizer, *conversations, max_length=200, **options):
    return encode_conversations(
        conversations, tokenizer, max_length=max_length, **options
    )


def learned(tokenizer, one):
    pairs = zip(one.token_ids, one.learned, strict=True)
    return decode(tokenizer, [token for token, mark in pairs if mark])


def test_of_a_conversation_the_answers_and_their_ends_are_learned(make_tokenizer):
    tokenizer = make_tokenizer()
    [one] = encode(tokenizer, CHAT)
    assert decode(tokenizer, one.token_ids) == (
        "<|start|>user\nhi<|end|>\n<|start|>assistant\nyes<|end|>\n"
        "<|start|>user\n?<|end|>\n"
    )
    assert learned(tokenizer, one) == "yes<|end|>"
    # The template's special tokens are tokens, not their letters.
    assert one.token_ids[0] == 0


def test_of_a_completion_it_and_the_end_are_learned(make_tokenizer):
    tokenizer = make_tokenizer()
    pair = Conversation(prompt="2+2=", completion="4")
    [one] = encode(tokenizer, pair)
    assert decode(tokenizer, one.token_ids) == "2+2=4<|end|>"
    assert learned(tokenizer, one) == "4<|end|>"
    [whole] = encode(tokenizer, pair, train_on_prompt=True)
    assert learned(tokenizer, whole) == "2+2=4<|end|>"


def test_of_a_text_everything_is_learned(make_tokenizer):
    tokenizer = make_tokenizer()
    [one] = encode(tokenizer, Conversation(completion="abc"))
    assert learned(tokenizer, one) == "abc<|end|>"


def test_a_prompt_is_the_beginning_of_what_was_learned(make_tokenizer):
    tokenizer = make_tokenizer()
    asked = Conversation(turns=CHAT.turns[:1])
    [prompt] = encode(tokenizer, asked, answered=False)
    [whole] = encode(tokenizer, CHAT)
    size = len(prompt.token_ids)
    assert whole.token_ids[:size] == prompt.token_ids
    assert whole.learned.index(True) == size


def test_a_model_without_a_chat_template_gets_a_plain_one(make_tokenizer):
    tokenizer = make_tokenizer(chat=False)
    [one] = encode(tokenizer, Conversation(turns=CHAT.turns[:2]))
    assert decode(tokenizer, one.token_ids) == (
        "### Instruction:\nhi\n\n### Response:\nyes<|end|>\n\n"
    )
    assert learned(tokenizer, one) == "yes<|end|>"


def test_text_that_spells_a_special_token_is_text_or_refused(make_tokenizer):
    tokenizer = make_tokenizer()
    text = Conversation(completion="a<|end|>b")
    [plain] = encode(tokenizer, text, split_special_tokens=True)
    assert plain.token_ids.count(1) == 1
    [chat] = encode(
        tokenizer, Conversation(turns=(Turn("user", "<|end|>"), Turn("assistant", "a")))
    )
    assert chat.problem == "message 1 spells the special token <|end|>"


def test_what_is_cut_is_counted_and_what_teaches_nothing_refused(make_tokenizer):
    tokenizer = make_tokenizer()
    pair = Conversation(prompt="abcd", completion="efgh")
    kept, cut, none = (
        encode(tokenizer, pair, max_length=size)[0] for size in (9, 8, 4)
    )
    assert (kept.cut, cut.cut) == (False, True)
    assert learned(tokenizer, cut) == "efgh"
    assert none.problem == "nothing to learn in its first 4 tokens"


def table(*rows):
    return Table.from_rows(rows, "rows.jsonl", lines=range(1, len(rows) + 1))


def chat(*roles):
    return {"messages": [{"role": role, "content": "x"} for role in roles]}


def test_rows_that_a_model_cannot_take_are_told(make_tokenizer):
    [answer] = chat("assistant")["messages"]
    rows = table(
        chat("user", "assistant"),
        chat("user", "assistant", "assistant"),
        {"messages": [{"role": "assistant", "content": "<|end|>"}]},
        {"messages": [{"role": "user", "content": "x" * 80}, answer]},
    )
    task = CausalLanguageModelling(max_length=60)
    assert task.bad_rows(rows) == []
    found = task.unsuited_rows(rows, make_tokenizer())
    assert [(one.row, one.reason) for one in found] == [
        (1, "the chat template refuses it: two answers in a row"),
        (2, "message 1 spells the special token <|end|>"),
        (3, "nothing to learn in its first 60 tokens"),
    ]


@pytest.mark.parametrize("packed", [True, False])
def test_labels_follow_the_tokens_at_their_positions(make_tokenizer, packed):
    tokenizer = make_tokenizer()
    rows = table(*({"prompt": "ab", "completion": "c" * size} for size in (1, 5, 9, 3)))
    task = CausalLanguageModelling(padding_free=packed, max_length=40)
    encoded = task.encode(rows, tokenizer, ())
    sequences = encoded.examples.sequences
    assert len(encoded.examples) == (2 if packed else 4)
    texts = []
    for ids, places, labels, numbers in zip(
        sequences["token_ids"],
        sequences["label_positions"],
        sequences["labels"],
        sequences["sequence_ids"],
        strict=True,
    ):
        assert [ids[place + 1] for place in places] == labels
        assert all(numbers[place] == numbers[place + 1] for place in places)
        texts.append(decode(tokenizer, labels))
    assert sorted("".join(texts)) == sorted("c" * 18 + "<|end|>" * 4)


def test_no_sequence_predicts_the_first_token_of_the_next(make_tokenizer):
    rows = table({"text": "ab"}, {"text": "cd"})
    task = CausalLanguageModelling(max_length=8)
    sequences = task.encode(rows, make_tokenizer(), ()).examples.sequences
    assert sequences["label_positions"] == [[0, 1, 3, 4]]
    assert sequences["positions"] == [[0, 1, 2, 0, 1, 2]]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_length": 7}, "max_length=7"),
        ({"label_smoothing": 1}, "label_smoothing=1"),
        ({"z_loss": -1}, "z_loss=-1"),
        ({"neftune_alpha": -1}, "neftune_alpha=-1"),
        ({"format": "template"}, "template=None"),
        ({"format": "text", "template": "{a}"}, "format='text'"),
        ({"template": "none"}, "template 'none'"),
        ({"format": "csv"}, "not allowed"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        CausalLanguageModelling(**options)


def test_names_of_other_libraries_are_understood():
    task = CausalLanguageModelling(
        packing=False, neftune_noise_alpha=5, label_smoothing_factor=0.1
    )
    assert (task.padding_free, task.neftune_alpha, task.label_smoothing) == (
        False,
        5.0,
        0.1,
    )


def test_prompts_are_texts_messages_or_rows():
    task = CausalLanguageModelling()
    message = {"role": "user", "content": "a"}
    turns = (Turn("user", "a"),)
    rows = [{"prompt": "a"}, {"instruction": "a"}, {"messages": [message]}]
    assert task.prompts(["a", [message], *rows]) == [
        Conversation(prompt="a"),
        Conversation(turns=turns),
        Conversation(prompt="a"),
        Conversation(turns=turns),
        Conversation(turns=turns),
    ]
    translation = CausalLanguageModelling(template="{en} =", target="de")
    assert translation.prompts([{"en": "cat"}])[0].prompt == "cat ="


@pytest.mark.parametrize(
    ("inputs", "match"),
    [
        ("a", "prompts are 'a'"),
        (["a", ""], "prompt 2: empty text"),
        ([5], "prompt 1: not a list of messages"),
        ([[{"role": "user"}]], "prompt 1: message 1: field content is missing"),
        ([{"output": "b"}], "a row of output has no prompt"),
        (
            [{"role": "user", "content": "a"}],
            "role, content has no prompt.*of each chat into a list of",
        ),
    ],
)
def test_prompts_of_another_form_are_refused(inputs, match):
    with pytest.raises(DataError, match=match):
        CausalLanguageModelling().prompts(inputs)


TOOL = {"type": "function", "function": {"name": "sum"}}
CALL = {"function": {"name": "sum", "arguments": {"of": [1, 2]}}}


def test_answers_of_weight_0_are_read_and_not_learned(make_tokenizer):
    tokenizer = make_tokenizer()
    asked = Turn("user", "hi")
    chat = Conversation(
        turns=(asked, Turn("assistant", "no", (("weight", 0),)), asked, CHAT.turns[1])
    )
    [one] = encode(tokenizer, chat)
    assert "no<|end|>" in decode(tokenizer, one.token_ids)
    assert learned(tokenizer, one) == "yes<|end|>"
    [whole] = encode(tokenizer, chat, train_on_prompt=True)
    assert whole.problem == "weight 0, and train_on_prompt learns everything"


@pytest.mark.parametrize("chat", [True, False])
def test_what_the_template_does_not_write_is_refused_by_name(make_tokenizer, chat):
    called = Turn("assistant", None, (("tool_calls", [CALL]),))
    found = encode(
        make_tokenizer(chat),
        Conversation(turns=(*CHAT.turns[:1], called)),
        Conversation(turns=CHAT.turns[:2], variables=(("tools", [TOOL]),)),
    )
    assert [one.problem for one in found] == [
        f"the chat template refuses it: it does not write {name}"
        for name in ("tool_calls", "tools")
    ]


def test_tools_and_calls_cannot_spell_special_tokens(make_tokenizer):
    called = Turn("assistant", "x", (("tool_calls", [{"name": "<|end|>"}]),))
    found = encode(
        make_tokenizer(),
        Conversation(turns=(*CHAT.turns[:1], called)),
        Conversation(turns=CHAT.turns[:2], variables=(("tools", [{"<|end|>": 1}]),)),
    )
    assert [one.problem for one in found] == [
        "message 2 spells the special token <|end|>",
        "its tools spell the special token <|end|>",
    ]


def test_what_a_row_asks_keeps_its_tools():
    task = CausalLanguageModelling()
    message = {"role": "user", "content": "a"}
    row = {"messages": [message, {"role": "assistant", "content": "b"}]}
    asked, answer = task.asked({**row, "tools": [TOOL]})
    assert answer == "b"
    prompts = [asked, {"messages": [message], "tools": [TOOL]}]
    expected = Conversation((Turn("user", "a"),), variables=(("tools", [TOOL]),))
    assert task.prompts(prompts) == [expected] * 2
    row["messages"][1] = {"role": "assistant", "tool_calls": [CALL]}
    with pytest.raises(ConfigError, match="tool calls but no text"):
        task.asked(row)


def test_a_template_that_writes_the_date_is_said(make_tokenizer, make_decoder):
    tokenizer = make_tokenizer()
    source = tokenizer.chat_template.source
    for said, named in (
        (False, ()),
        (True, (("tool_use", "{{ strftime_now('%d') }}"),)),
    ):
        tokenizer.chat_template = ChatTemplate(source, named=named)
        pretrained = load_pretrained(make_decoder(), tokenizer)
        _, notes = CausalLanguageModelling().suited_to(pretrained)
        assert (
            "the chat template writes the date: chats have today's" in notes
        ) is said
