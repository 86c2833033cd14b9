"""Ids of rows are those of transformers and TRL, for tokenizers of every kind.

The goldens hold what `AutoTokenizer` and TRL 1.16 made of texts, of prompts with
answers, and of chats whose template marks the answers.
"""

from __future__ import annotations

import json

import pytest

from tests.goldens import ROOT
from tfft.data.conversations import Conversation, Turn
from tfft.models.tokenizer_files import read_tokenizer
from tfft.tasks.language.encode import encode_conversations
from tfft.tasks.language.notes import notes_on
from tfft.text.chat_template import ChatTemplate
from tfft.text.language_ids import start_ids, text_ids
from tfft.text.tokenizer import Tokenizer

KINDS = sorted(folder.name for folder in (ROOT / "language-ids").iterdir())


@pytest.fixture(scope="module", params=KINDS)
def given(request):
    folder = ROOT / "language-ids" / request.param
    return read_tokenizer(folder), json.loads((folder / "reference.json").read_text())


def encode(tokenizer, conversations, **options):
    return encode_conversations(conversations, tokenizer, max_length=200, **options)


def test_a_text_has_what_the_tokenizer_puts_around_it_once(given):
    tokenizer, reference = given
    texts = [Conversation(completion=one["text"]) for one in reference["texts"]]
    for one, right in zip(encode(tokenizer, texts), reference["texts"], strict=True):
        assert one.token_ids == right["ids"]
        assert one.learned[len(start_ids(tokenizer)) :] == [True] * (
            len(right["ids"]) - len(start_ids(tokenizer))
        )


def test_a_prompt_and_its_answer_have_the_ids_of_their_text(given):
    tokenizer, reference = given
    pairs = [
        Conversation(prompt=one["prompt"], completion=one["completion"])
        for one in reference["pairs"]
    ]
    asked = [Conversation(prompt=one.prompt) for one in pairs]
    prompts = encode(tokenizer, asked, answered=False)
    rows = encode(tokenizer, pairs)
    for row, prompt, right in zip(rows, prompts, reference["pairs"], strict=True):
        assert prompt.token_ids == right["prompt_ids"]
        assert row.token_ids == right["ids"]
        assert row.learned.index(True) == right["first_learned"]
        assert all(row.learned[right["first_learned"] :])
        assert row.joined == right["joined"]
    joined = sum(one["joined"] for one in reference["pairs"])
    [note] = notes_on(rows, split_special_tokens=False)
    assert joined
    assert note.startswith(f"{joined} of 6 rows have a token that spans")


@pytest.mark.parametrize("marked", [True, False])
def test_a_chat_has_the_ids_and_the_mask_of_its_text(given, marked):
    tokenizer, reference = given
    template = tokenizer.chat_template
    if not marked:
        source = template.source.replace("{% generation %}", "")
        source = source.replace("{% endgeneration %}", "")
        template = ChatTemplate(source, template.tokens)
    tokenizer = Tokenizer(tokenizer.library, tokenizer.roles, template)
    chats = [
        Conversation(tuple(Turn(**turn) for turn in one["messages"]))
        for one in reference["chats"]
    ]
    asked = [one._replace(turns=one.turns[:-1]) for one in chats]
    prompts = encode(tokenizer, asked, answered=False)
    rows = encode(tokenizer, chats)
    for row, prompt, right in zip(rows, prompts, reference["chats"], strict=True):
        assert row.token_ids == right["ids"]
        assert row.learned == [bool(mark) for mark in right["learned"]]
        assert prompt.token_ids == right["prompt_ids"]
        assert row.ends == (tokenizer.eos_id,) * (len(right["messages"]) // 2)
        assert not row.joined


def test_a_border_is_seen_where_offsets_leave_blanks_out():
    tokenizer = read_tokenizer(ROOT / "roberta-tokenizer")
    pairs = [
        Conversation(prompt="the ", completion="cat"),
        Conversation(prompt="the", completion=" cat"),
    ]
    joined, apart = encode(tokenizer, pairs)
    assert joined.token_ids == apart.token_ids
    assert (joined.joined, apart.joined) == (True, False)
    assert joined.learned == apart.learned


def test_what_a_text_spells_of_its_frame_stands_there_once():
    folder = ROOT / "language-ids" / "metaspace-first"
    tokenizer = read_tokenizer(folder)
    texts = ["hi", "<s>hi", "hi</s>", "<s>hi</s>"]
    rows = encode(tokenizer, [Conversation(completion=text) for text in texts])
    # After a token a text no longer begins, and has no blank of its own.
    inside = text_ids(tokenizer, ["<s>hi</s>"], split_special_tokens=False)[0].token_ids
    plain = [*tokenizer.library.encode("hi").ids, tokenizer.eos_id]
    assert [row.token_ids for row in rows] == [plain, inside, plain, inside]
    assert inside.count(tokenizer.bos_id) == inside.count(tokenizer.eos_id) == 1
    split = encode(
        tokenizer, [Conversation(completion="<s>hi")], split_special_tokens=True
    )
    assert split[0].token_ids.count(tokenizer.bos_id) == 1
    assert split[0].token_ids[1] not in (tokenizer.bos_id, inside[1])


def test_inside_a_graph_a_text_begins_once_too():
    import tensorflow as tf

    from tfft.tasks.language.generating_in_graph import begun

    ids = tf.ragged.constant([[1, 2, 5], [1, 5], [], [5], [1]], dtype=tf.int32)
    for start, right in (
        ([1, 2], [[1, 2, 5], [1, 2, 1, 5], [1, 2], [1, 2, 5], [1, 2, 1]]),
        ([1], [[1, 2, 5], [1, 5], [1], [1, 5], [1]]),
        ([], [[1, 2, 5], [1, 5], [], [5], [1]]),
    ):
        assert begun(ids, start, may_have=True).to_list() == right
    always = begun(ids, [1], may_have=False).to_list()
    assert always == [[1, *one] for one in ids.to_list()]
