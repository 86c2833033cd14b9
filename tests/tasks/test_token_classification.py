"""Token classification from rows to spans."""

from __future__ import annotations

import dataclasses
import random
import resource

import numpy as np
import pytest

import tfft
from tests.fixtures.rows import HARD
from tfft.core.errors import ConfigError, DataError
from tfft.data.table import Table
from tfft.tasks.token_classification import TokenClassification
from tfft.tasks.tokens.tagging import Tagged

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


@pytest.fixture(scope="module")
def run(tune, make_tagged):
    return tune(
        data=make_tagged(120), task="token_classification", epochs=6, batch_size=8
    )


def random_answers(task, table, tokenizer, seed=0):
    """Returns what the task makes of a network that says anything at random."""
    encoded = task.encode(table, tokenizer, None)
    random = np.random.default_rng(seed)
    outputs = [
        random.normal(0, 3, (length, len(LABELS))).astype("float32")
        for length in encoded.examples.lengths
    ]
    predictions = task.decode(outputs, encoded, table, LABELS)
    return predictions, task.answers(predictions, table, LABELS)


def test_what_can_be_learned_is_learned(run, make_tagged):
    assert run.metrics["test"]["f1"] > 0.95
    assert run.record["labels"] == list(LABELS)
    report = run.evaluate(make_tagged(30, seed=5))
    assert report.metrics["f1"] > 0.95
    [answer] = run.predict(["good abba bad xylo"])
    found = [(one["type"], one["text"]) for one in answer["spans"]]
    assert found == [("PER", "abba"), ("LOC", "xylo")]


def test_a_loaded_run_answers_bit_for_bit_alike(run):
    inputs = ["abba xylo", *HARD[:8], "good " * 200]
    assert tfft.load(run.folder).predict(inputs) == run.predict(inputs)


def test_words_and_texts_are_answered_alike(run):
    [text], [words] = run.predict(["good abba"]), run.predict([["good", "abba"]])
    assert text == words


def test_inputs_of_another_form_are_refused(run):
    with pytest.raises(DataError, match="expected a list of texts, or of lists"):
        run.predict("good abba")
    with pytest.raises(DataError, match=r"input 1 is 3 .*a text or a list of words"):
        run.predict([3])
    with pytest.raises(DataError, match=r"word 2 is ''"):
        run.predict([["a", ""]])
    with pytest.raises(DataError, match="keys differ"):
        run.predict(["a", ["b"]])


@pytest.mark.parametrize("decoding", ["repair", "viterbi"])
def test_every_span_is_a_part_of_its_text(letters, decoding):
    task = TokenClassification(max_length=16, stride=4, decoding=decoding)
    texts = [*HARD, *(f"{a} {b}" for a in HARD for b in HARD)]
    table = task.rows(texts)
    predictions, answers = random_answers(task, table, letters)
    spans = 0
    for text, tagged, answer in zip(texts, predictions, answers, strict=True):
        assert len(tagged.tags) == len(answer["tags"])
        for one in answer["spans"]:
            assert text[one["start"] : one["end"]] == one["text"] != ""
            assert 0 < one["score"] <= 1 + 1e-6
            spans += 1
    assert spans > 500


@pytest.mark.parametrize("decoding", ["repair", "viterbi"])
def test_tags_are_legal_and_viterbi_is_never_less_likely(letters, decoding):
    from tfft.tasks.tokens.tag_schemes import problem

    table = TokenClassification().rows([["ab", "cd", "e", "f", "g"]] * 200)
    scores = {}
    for name in ("repair", "viterbi"):
        task = TokenClassification(decoding=name)
        predictions, _ = random_answers(task, table, letters)
        assert all(problem(one.tags, "IOB2") is None for one in predictions)
        scores[name] = [
            sum(
                np.log(p[LABELS.index(tag)])
                for tag, p in zip(one.tags, one.probabilities, strict=True)
            )
            for one in predictions
        ]
    pairs = list(zip(scores["viterbi"], scores["repair"], strict=True))
    assert all(a >= b - 1e-5 for a, b in pairs)
    assert any(a > b + 1e-3 for a, b in pairs)


def test_labels_are_on_the_first_token_of_each_word(letters):
    table = Table.from_rows(
        [{"tokens": ["abc", "good"], "ner_tags": ["B-PER", "O"]}], "x"
    )
    examples = TokenClassification().encode(table, letters, LABELS).examples
    # [CLS] a ##b ##c good [SEP]
    assert examples.sequences["labels"] == [[-1, 3, -1, -1, 0, -1]]


def test_each_word_is_labelled_in_one_window(letters):
    words = ["ab", "c"] * 40
    rows = [{"tokens": words, "ner_tags": ["B-PER", "O"] * 40}]
    table = Table.from_rows(rows, "x")
    task = TokenClassification(max_length=16, stride=6)
    examples = task.encode(table, letters, LABELS).examples
    given = [label for row in examples.sequences["labels"] for label in row]
    assert len(examples) > 5
    assert [label for label in given if label >= 0] == [3, 0] * 40


def test_a_document_of_20000_words_is_tagged_whole(run):
    generator = random.Random(0)
    words = [generator.choice(["abba", "good", "xylo", "b"]) for _ in range(20_000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [answer] = run.predict([words])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(answer["tags"]) == 20_000
    right = {"abba": "B-PER", "xylo": "B-LOC", "good": "O"}
    pairs = zip(words, answer["tags"], strict=True)
    hits = [tag == right[word] for word, tag in pairs if word in right]
    assert np.mean(hits) > 0.8  # trained on sentences of a few words
    text = " ".join(words)
    assert all(text[s["start"] : s["end"]] == s["text"] for s in answer["spans"])
    assert grown < 400_000  # kilobytes, for 1,300 windows


def test_a_word_in_a_window_has_the_same_tag_whatever_the_window(letters):
    """Each word's own token speaks: outputs that tell it give it back."""
    task = TokenClassification(max_length=12, stride=4)
    words = [*"abcdefghij"] * 6
    table = task.rows([words])
    encoded = task.encode(table, letters, None)
    outputs = []
    for ids in encoded.examples.sequences["token_ids"]:
        logits = np.zeros((len(ids), len(LABELS)), "float32")
        for index, one in enumerate(ids):
            logits[index, 3 if letters.library.id_to_token(one) in "aceg" else 0] = 9
        outputs.append(logits)
    [tagged] = task.decode(outputs, encoded, table, LABELS)
    assert tagged.tags == ["B-PER" if word in "aceg" else "O" for word in words]


def test_a_word_the_tokenizer_drops_is_outside(letters):
    task = TokenClassification()
    table = task.rows([["ab", "\u200d", "c"]])
    predictions, _ = random_answers(task, table, letters)
    assert len(predictions[0].tags) == 3
    assert predictions[0].tags[1] == "O"


def test_the_exported_model_finds_the_spans_of_the_run(run, tmp_path):
    import tensorflow as tf

    from tfft.serving.verification import difference

    folder = run.export(tmp_path / "served")
    texts = [
        "good abba",
        "x",
        "",
        "\u0301 a\u0301b, 漢字! abba xylo",
        "abba dada " * 40,
    ]
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    found = {name: one.numpy() for name, one in served(text=tf.constant(texts)).items()}
    answers = run.task.served(run.labels).read(found)
    assert difference(answers, run.predict(texts)) <= 1e-5
    assert sum(len(one["spans"]) for one in answers) > 10
    words = [word.decode() for word in found["tokens"][3][: found["length"][3]]]
    assert words == ["\u0301", "a\u0301b", ",", "漢", "字", "!", "abba", "xylo"]


@pytest.mark.parametrize("seed", range(3))
def test_paths_inside_a_graph_are_those_outside(seed):
    import tensorflow as tf

    from tfft.tasks.tokens.tagging import likeliest_legal
    from tfft.tasks.tokens.viterbi_in_graph import likeliest_legal as in_graph

    random = np.random.default_rng(seed)
    labels = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    rows = [random.normal(size=(size, 5)) for size in (4, 0, 1, 9)]
    ragged = tf.RaggedTensor.from_row_lengths(
        np.concatenate(rows), [len(row) for row in rows]
    )
    expected = np.concatenate([likeliest_legal(row, labels) for row in rows])
    np.testing.assert_array_equal(in_graph(ragged, labels), expected)


@pytest.mark.parametrize("seed", range(3))
def test_words_inside_a_graph_are_those_outside(seed):
    import tensorflow as tf

    from tfft.tasks.tokens.words import words_of
    from tfft.tasks.tokens.words_in_graph import words_in_graph

    random = np.random.default_rng(seed)
    letters = list("ab1 \t.,-漢かé\u0301\u200d\u00ad\x00")
    texts = ["".join(random.choice(letters, random.integers(20))) for _ in range(300)]
    found = words_in_graph(tf.constant(texts))
    pairs = zip(found.starts.to_list(), found.ends.to_list(), strict=True)
    mine = [list(zip(*pair, strict=True)) for pair in pairs]
    assert mine == [words_of(text) for text in texts]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"stride": 200}, "stride=200 makes no sense"),
        ({"max_length": 4}, "max_length=4"),
        ({"scheme": "IOB3"}, "'IOB3' is not allowed"),
        ({"decoding": "crf"}, "'crf' is not allowed"),
        ({"tags": "tokens"}, "another column than tokens"),
        ({"text": "a,b"}, "one column"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, part):
    with pytest.raises(ConfigError, match=part):
        TokenClassification(**options)


@pytest.mark.parametrize("option", [{"max_length": 24}, {"stride": 2}])
def test_window_options_change_the_windows(letters, option):
    table = TokenClassification().rows([["ab"] * 30])
    plain = TokenClassification(max_length=16, stride=4)
    other = dataclasses.replace(plain, **option)
    counts = [len(one.encode(table, letters, None).examples) for one in (plain, other)]
    assert counts[0] != counts[1]


def test_options_of_the_loss_reach_the_training(tune, make_tagged):
    shared = {"data": make_tagged(20), "validation": 0, "test": 0, "method": "head"}
    heads = []
    for options in ({}, {"class_weights": "O=0.1"}, {"dropout": 0.5}):
        run = tune(**shared, task={"name": "token_classification", **options})
        heads.append(np.array(run.model.head_variables[0]))
    assert np.abs(heads[0] - heads[1]).max() > 1e-4
    assert np.abs(heads[0] - heads[2]).max() > 1e-4
    run = tune(**shared, task=TokenClassification(class_weights="balanced"))
    weights = run.record["task"]["class_weights"]
    assert list(weights) == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert weights["I-LOC"] == 0  # no row has it
    assert run.task == tfft.load(run.folder).task


def test_probabilities_of_a_span_are_those_of_its_type():
    p = np.array([[0.1, 0, 0, 0.6, 0.3], [0.2, 0, 0, 0.1, 0.7]])
    tagged = Tagged(["B-PER", "I-PER"], p)
    table = TokenClassification().rows([["ab", "cd"]])
    [answer] = TokenClassification().answers([tagged], table, LABELS)
    [span] = answer["spans"]
    assert span["score"] == pytest.approx((0.9 + 0.8) / 2)
    assert (span["start"], span["end"], span["text"]) == (0, 5, "ab cd")
