"""A language model fine-tuned from beginning to end, as small as can be."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfft
from tests.fixtures.trainings import PAIRS, ROWS
from tfft.core.errors import ConfigError, DataError
from tfft.tasks.causal_lm import CausalLanguageModelling
from tfft.text.chat_template import ChatTemplate

ASKED = [{"prompt": f"{en}="} for en, _ in PAIRS]


def texts(run):
    return [one.text for one in run.generate(ASKED, max_new_tokens=10)]


def test_what_can_be_learned_is_learned_kept_and_loaded(train):
    # One example a step, of two rows or three.
    task = {"name": "causal_lm", "max_length": 24, "gradient_checkpointing": True}
    run = train(epochs=12, batch_size=1, learning_rate=2e-2, task=task, test=ROWS[:4])
    assert texts(run) == [de for _, de in PAIRS]
    assert run.metrics["test"]["token_accuracy"] == 1.0
    loss = run.metrics["test"]["loss"]
    assert run.metrics["test"]["perplexity"] == pytest.approx(np.exp(loss))
    with pytest.warns(UserWarning, match="(bleu|rouge2) is 0"):
        assert run.score_texts(ROWS[:4], max_new_tokens=10)["exact_match"] == 100
    streamed = list(run.generate(ASKED[:2], max_new_tokens=10, stream=True))
    assert "".join(piece.text for piece in streamed if piece.row == 1) == "Hund"
    loaded = tfft.load(run.folder)
    assert texts(loaded) == texts(run)
    # The chat template came along.
    [one] = loaded.generate([[{"role": "user", "content": "a"}]], max_new_tokens=2)
    assert one.finish == "length"
    report = loaded.evaluate(ROWS[:4], slice_by=["completion"])
    assert report.metrics == run.metrics["test"]
    assert set(report.details.slices["completion"]) == {de for _, de in PAIRS}


def test_rows_that_cannot_be_used_are_told_with_their_numbers(train, tmp_path):
    good = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    bad = {
        3: ([{"role": "robot", "content": "a"}, good[1]], "unknown role 'robot'"),
        4: ([good[0], {"role": "assistant", "content": ""}], "empty content"),
        5: ([good[0], {"role": "assistant"}], "field content is missing"),
        6: ([good[0], {"role": "assistant", "content": 5}], "content is int"),
    }
    rows = [good, good, *(messages for messages, _ in bad.values()), good]
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(json.dumps({"messages": one}) for one in rows))
    with pytest.raises(DataError) as error:
        train(data=path)
    problems = tfft.inspect_data(path, task="causal_lm").problems
    for line, (_, reason) in bad.items():
        assert f"chats.jsonl:{line}" in str(error.value)
        assert reason in str(error.value)
        assert any(f"chats.jsonl:{line}: " in one and reason in one for one in problems)


def test_what_the_chat_template_refuses_is_told_or_left_out(train, capsys):
    good = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [{"messages": good}] * 3 + [{"messages": [*good, good[1]]}]
    with pytest.raises(DataError, match=r"two answers in a row.*list row 4"):
        train(data=rows)
    run = train(data=rows, on_bad_rows="skip", verbose=1)
    assert "left out 1 of 4 rows" in capsys.readouterr().out
    assert run.record["status"] == "complete"


def test_truncation_is_counted(train, capsys):
    train(data=ROWS, task={"name": "causal_lm", "max_length": 8}, verbose=1)
    shown = capsys.readouterr().out
    assert "18 of 24 rows are longer than 8 tokens" in shown


def test_lora_trains_and_a_frozen_head_stays(train):
    run = train(method="lora")
    before = np.array(run.built.pretrained.backbone.token_embedding.embeddings)
    assert run.record["cost"]["trainable"] < 5_000
    assert len(texts(run)) == 4
    loaded = tfft.load(run.folder)
    after = loaded.built.pretrained.backbone.token_embedding.embeddings
    assert np.array_equal(before, np.array(after))
    assert texts(loaded) == texts(run)


def test_what_makes_no_sense_is_refused(train, bert_folder, tiny_run):
    with pytest.raises(ConfigError, match="a decoder, such as GPT-2 or Llama"):
        train(model=bert_folder, tokenizer=None)
    with pytest.raises(ConfigError, match="does not generate"):
        tiny_run.generate(["good"])
    with pytest.raises(ConfigError, match="batch_size=0"):
        train().generate(["a"], batch_size=0)
    with pytest.raises(ConfigError, match=r"run.generate\(prompts\)"):
        train().predict(["a"])
    with pytest.raises(ConfigError, match="a head that only training makes"):
        tfft.evaluate(
            bert_folder, [{"text": "a", "label": 1}], task="text_classification"
        )


def test_the_models_own_scores_are_those_of_the_plain_loss(
    make_decoder, make_tokenizer
):
    from keras import ops

    backbone, tokenizer = make_decoder(), make_tokenizer()
    rows = [{"text": "a" * size} for size in (3, 9, 20, 40, 5)]
    expected = []
    for row in rows:
        ids = [*tokenizer.library.encode(row["text"]).ids, tokenizer.eos_id]
        inputs = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)))}
        logits = backbone.token_embedding(backbone(inputs), reverse=True)[0, :-1]
        losses = ops.sparse_categorical_crossentropy(
            np.array(ids[1:]), logits, from_logits=True
        )
        expected.extend(np.asarray(losses).tolist())
    for together in (True, False):
        task = CausalLanguageModelling(padding_free=together)
        report = tfft.evaluate(backbone, rows, task=task, tokenizer=tokenizer)
        assert report.summary["tokens"] == len(expected)
        # A mean of 77 values near 5.5 in float32.
        assert report.metrics["loss"] == pytest.approx(np.mean(expected), rel=1e-6)


def test_rows_that_share_an_example_are_told_by_their_own_numbers(make_tokenizer):
    from tfft.data.table import Table

    table = Table.from_rows(ROWS[:4], "rows")
    task = CausalLanguageModelling(max_length=24)
    examples = task.encode(table, make_tokenizer(), ()).examples
    assert len(examples) == 2
    assert sorted(examples.rows_of([0, 1])) == [0, 1, 2, 3]
    assert examples.rows_of([1]) == list(examples.sources[1])


def test_the_exported_model_generates_as_the_run(train, tmp_path):
    import tensorflow as tf

    run = train(epochs=6)
    model = tf.saved_model.load(str(run.export(tmp_path / "served")))
    prompts = ["cat=", "a longer prompt, dog=", "é=", "\n"]

    def ask(prompts, **options):
        given = {"temperature": 0.0, "top_p": 1.0, "seed": 0, **options}
        kinds = {
            "max_new_tokens": tf.int32,
            "temperature": tf.float32,
            "top_p": tf.float32,
            "seed": tf.int64,
        }
        rows = {
            name: tf.constant([value] * len(prompts), kinds[name])
            for name, value in given.items()
        }
        found = model.signatures["generate"](
            prompt=tf.constant(prompts),
            stop_tokens=tf.constant([[]] * len(prompts), tf.int32),
            stop=tf.constant([[]] * len(prompts), tf.string),
            **rows,
        )
        return [text.decode() for text in found["completion"].numpy()]

    right = [one.text for one in run.generate(prompts, max_new_tokens=10)]
    assert ask(prompts, max_new_tokens=10) == right
    drawn = [ask(prompts, max_new_tokens=10, temperature=2.0, seed=s) for s in (1, 2)]
    assert drawn[0] == ask(prompts, max_new_tokens=10, temperature=2.0, seed=1)
    assert drawn[0] != drawn[1]
    # What stands beside a row changes no draw of it.
    assert ask(prompts[:1], max_new_tokens=10, temperature=2.0, seed=1) == drawn[0][:1]
    tiny = ask(prompts, max_new_tokens=10, temperature=2.0, top_p=1e-6, seed=1)
    assert tiny == right
    for options, message in (
        ({"max_new_tokens": 95}, "more than 96 tokens together"),
        ({"max_new_tokens": 0}, "max_new_tokens is less than 1"),
        ({"max_new_tokens": 1, "top_p": 0.0}, "top_p is not above 0"),
        ({"max_new_tokens": 1, "temperature": -1.0}, "temperature is less than 0"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            ask(prompts, **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match="has no tokens"):
        ask([""], max_new_tokens=1)
    default = model.signatures["serving_default"](prompt=tf.constant(prompts))
    whole = [text.decode() for text in default["completion"].numpy()]
    assert [
        text[: len(start)] for text, start in zip(whole, right, strict=True)
    ] == right


TOOL_USE = (
    "{% for t in tools %}{{ t.name }};{% endfor %}{% for m in messages %}"
    "<|start|>{{ m.role }}\n{% if m.tool_calls %}"
    "{% generation %}{{ m.tool_calls[0].name }}<|end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def test_tools_are_called_by_a_run_and_by_the_loaded_one(train, make_tokenizer):
    tokenizer = make_tokenizer()
    plain = tokenizer.chat_template
    named = (("tool_use", TOOL_USE),)
    tokenizer.chat_template = ChatTemplate(plain.source, plain.tokens, "", named)
    asked = {"role": "user", "content": "a"}
    rows = [
        {
            "messages": [asked, {"role": "assistant", "tool_calls": [{"name": name}]}],
            "tools": [{"name": name}],
        }
        for name in ("+", "log")
    ]
    task = {"name": "causal_lm", "max_length": 48}
    run = train(
        data=rows * 8, tokenizer=tokenizer, task=task, epochs=12, learning_rate=2e-2
    )
    prompts = [{"messages": [asked], "tools": row["tools"]} for row in rows]
    for one in (run, tfft.load(run.folder)):
        found = one.generate(prompts, max_new_tokens=8)
        assert [answer.text for answer in found] == ["+", "log"]


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_methods_around_a_block_are_refused_before_training(method, train, capsys):
    with pytest.raises(ConfigError, match="adapter changes how transformer_layer_0"):
        train(method=method, verbose=1)
    assert "cost:" not in capsys.readouterr().out
