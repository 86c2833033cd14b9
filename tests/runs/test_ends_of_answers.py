"""Answers end where those a run was taught ended: in runs, exports and old folders."""

from __future__ import annotations

import json
import shutil

import keras
import keras_hub
import pytest

import tfft
from tests.fixtures.language import CHATML
from tfft.data.table import Table
from tfft.tasks.causal_lm import CausalLanguageModelling
from tfft.text.chat_template import ChatTemplate
from tfft.text.tokenizer import Tokenizer

PAIRS = [("cat", "Katze"), ("dog", "Hund"), ("fox", "Fuchs"), ("cow", "Kuh")]
CHATS = [
    [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    for asked, said in PAIRS
]
WRITTEN = [f"<|start|>user\n{asked}<|end|>\n<|start|>assistant\n" for asked, _ in PAIRS]
SAID = [said for _, said in PAIRS]
END, EOS = 1, 258


@pytest.fixture(scope="module")
def tokenizer(make_tokenizer):
    """Its template ends turns with <|end|>, its texts end with <|eos|>."""
    library = make_tokenizer().library
    library.add_special_tokens(["<|eos|>"])
    template = ChatTemplate(CHATML, (("eos_token", "<|eos|>"),))
    return Tokenizer(library, {"eos": "<|eos|>"}, template)


@pytest.fixture(scope="module")
def run(tokenizer, tmp_path_factory):
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=259,
        num_layers=1,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=32,
        max_sequence_length=96,
        dropout=0.0,
    )
    return tfft.finetune(
        model=backbone,
        tokenizer=tokenizer,
        data=[{"messages": chat} for chat in CHATS] * 6,
        task="causal_lm",
        method="full",
        output_dir=tmp_path_factory.mktemp("runs") / "run",
        epochs=16,
        batch_size=4,
        learning_rate=2e-2,
        validation=0,
        test=0,
        precision="float32",
        verbose=0,
    )


def answers(run, prompts):
    found = run.generate(prompts, max_new_tokens=10)
    return [(one.text, one.finish) for one in found]


ASKED = [chat[:1] for chat in CHATS]


@pytest.fixture(scope="module")
def right(run):
    """What the run answers, each text with an end."""
    found = answers(run, ASKED)
    assert all(finish == "stop" and len(text) >= 3 for text, finish in found)
    return found


def test_a_run_stops_at_the_end_of_its_turns(run, right):
    # Text that was written with the template is the same prompt.
    assert answers(run, WRITTEN) == right
    content = json.loads((run.folder / "generation_config.json").read_text())
    assert content["eos_token_id"] == [EOS, END]
    assert answers(tfft.load(run.folder), ASKED) == right
    exported = run.export_huggingface(run.folder.parent / "exported")
    content = json.loads((exported / "generation_config.json").read_text())
    assert content["eos_token_id"] == [EOS, END]


def test_a_run_of_before_stops_and_splits_text_as_it_was_taught(run, right, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "old")
    (folder / "generation_config.json").unlink()
    record = json.loads((folder / "run.json").read_text())
    for task in (record["task"], record["config"]["task"]):
        del task["split_special_tokens"]
    (folder / "run.json").write_text(json.dumps(record))
    old = tfft.load(folder)
    assert old.task.split_special_tokens
    assert answers(old, ASKED) == right
    with pytest.warns(UserWarning, match="4 of 4 prompts spell special tokens"):
        assert answers(old, WRITTEN) != right


def test_an_export_stops_there_and_where_it_is_asked_to(run, right, tmp_path):
    import tensorflow as tf

    model = tf.saved_model.load(str(run.export(tmp_path / "served")))

    def ask(signature, stop_tokens=(), stop=(), prompts=WRITTEN):
        rows = len(prompts)
        found = model.signatures[signature](
            prompt=tf.constant(prompts),
            max_new_tokens=tf.fill([rows], 10),
            temperature=tf.zeros([rows]),
            top_p=tf.ones([rows]),
            seed=tf.zeros([rows], tf.int64),
            stop_tokens=tf.constant([[*stop_tokens]] * rows, tf.int32),
            stop=tf.constant([[*stop]] * rows, tf.string),
        )
        pairs = zip(found["completion"].numpy(), found["finish"].numpy(), strict=True)
        return [(text.decode(), finish.decode()) for text, finish in pairs]

    assert ask("generate_chat") == ask("generate") == right
    default = model.signatures["serving_default"](prompt=tf.constant(WRITTEN))
    texts = [text.decode() for text in default["completion"].numpy()]
    assert texts == [text for text, _ in right]
    first = run.built.pretrained.tokenizer.library.token_to_id(texts[0][1])
    for given in ({"stop_tokens": [-1, first]}, {"stop": ["", texts[0][1:3], "###"]}):
        outside = {name: [one for one in value if one not in ("", -1)]
                   for name, value in given.items()}  # fmt: skip
        found = run.generate(ASKED, max_new_tokens=10, **outside)
        assert found[0].text == texts[0][:1]
        assert ask("generate_chat", **given) == [
            (one.text, one.finish) for one in found
        ]


def test_a_text_that_was_written_with_the_template_has_its_ids(tokenizer):
    texts = [
        {"text": f"{asked}{said}<|end|>\n"}
        for asked, said in zip(WRITTEN, SAID, strict=True)
    ]
    task = CausalLanguageModelling(padding_free=False)
    encoded = task.encode(Table.from_rows(texts, "rows"), tokenizer, ())
    chats = Table.from_rows([{"messages": chat} for chat in CHATS], "rows")
    right = task.encode(chats, tokenizer, ())
    assert encoded.examples.sequences["token_ids"] == [
        [*ids, EOS] for ids in right.examples.sequences["token_ids"]
    ]
    assert set(encoded.ends) == {END, EOS}
    assert encoded.notes == [
        "4 of 4 rows spell special tokens, which become those tokens: "
        "task.split_special_tokens=True reads them as text"
    ]
    split = CausalLanguageModelling(padding_free=False, split_special_tokens=True)
    encoded = split.encode(Table.from_rows(texts, "rows"), tokenizer, ())
    assert END not in encoded.examples.sequences["token_ids"][0]
    assert encoded.ends == (EOS,)
    assert "task.split_special_tokens=False reads them" in encoded.notes[0]


def test_answers_that_no_token_ends_are_told(tokenizer):
    source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    bare = Tokenizer(tokenizer.library, tokenizer.roles, ChatTemplate(source))
    chats = Table.from_rows([{"messages": chat} for chat in CHATS], "rows")
    [note] = CausalLanguageModelling().encode(chats, bare, ()).notes
    assert note.startswith("no answer ends with a special token")
