"""Multi-label classification and regression from rows to answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfft
from tfft.core.errors import ConfigError, DataError
from tfft.data.table import Table
from tfft.models.tokenizer_files import word_piece
from tfft.tasks.multi_label import MultiLabel
from tfft.tasks.regression import Regression
from tfft.tasks.strata import bands, rarest
from tfft.tasks.text_classification import TextClassification

LABELS = ("bad", "good")


def label_rows(count=80):
    """Returns texts whose words are their labels."""
    words = (("good",), ("bad",), ("good", "bad"), ())
    return [
        {"text": " ".join([*words[i % 4], "abc", str(i)]), "labels": list(words[i % 4])}
        for i in range(count)
    ]


def number_rows(count=80, pair=False):
    rows = []
    for i in range(count):
        value = 300.0 if i % 2 else 100.0
        word = "good" if i % 2 else "bad"
        text = {"a": word, "b": f"xyz {i}"} if pair else {"text": f"{word} {i}"}
        rows.append({**text, "label": value})
    return rows


@pytest.fixture(scope="module")
def labels_run(tune):
    return tune(
        data=label_rows(200),
        task=MultiLabel(pooling="mean"),
        learning_rate=1e-2,
        epochs=16,
        batch_size=8,
    )


@pytest.fixture(scope="module")
def numbers_run(tune):
    return tune(data=number_rows(), task="regression", epochs=5, batch_size=8)


def test_labels_that_can_be_learned_are_learned(labels_run):
    assert labels_run.labels == LABELS
    assert labels_run.metrics["test"]["micro_f1"] > 0.9
    texts = ["good abc 1", "bad abc 2", "good bad abc 3", "abc 4"]
    found = [set(one["labels"]) for one in labels_run.predict(texts)]
    assert found == [{"good"}, {"bad"}, {"good", "bad"}, set()]
    assert tfft.load(labels_run.folder).predict(texts) == labels_run.predict(texts)
    assert len(labels_run.record["task"]["thresholds"]) == 2


def test_thresholds_decide(labels_run):
    import dataclasses

    other = tfft.load(labels_run.folder)
    other.predictor.task = dataclasses.replace(other.task, thresholds=(0.0, 1.0))
    assert other.predict(["xy"])[0]["labels"] == ["bad"]
    with pytest.raises(DataError, match="3 thresholds for 2 labels"):
        MultiLabel(thresholds=(0, 0, 0)).learned_from(None, LABELS)
    given = MultiLabel(thresholds=(0.2, 0.3))
    assert given.tuned(None, None, LABELS) == (given, [])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["b", "a", "b"], ("b", "a")),
        ("a| b |", ("a", "b")),
        ("", ()),
        ([], ()),
    ],
)
def test_labels_in_lists_and_in_text(value, found):
    table = Table({"text": ["x"], "labels": [value]}, "x")
    assert MultiLabel().described(table) == [found]
    other = Table({"text": ["x"], "labels": ["a;b"]}, "x")
    assert MultiLabel(separator=";").described(other) == [("a", "b")]


@pytest.mark.parametrize("value", [None, 3, ["a", 3], ["a", None], [""]])
def test_labels_of_another_form_are_bad_rows(value):
    table = Table({"text": ["x"], "labels": [value]}, "x")
    assert [one.column for one in MultiLabel().bad_rows(table)] == ["labels"]


@pytest.mark.parametrize("labels", [["a", "b\nc"], ["it's"], []])
def test_lists_that_a_csv_file_holds_as_text_are_bad_rows(labels):
    for written in (str(labels), json.dumps(labels), str(np.array(labels, dtype=str))):
        table = Table({"text": ["x"], "labels": [written]}, "x.csv")
        [bad] = MultiLabel().bad_rows(table)
        assert bad.reason == "a list written as text, not joined by '|'"
    fine = Table({"text": ["x"] * 2, "labels": ["[urgent] a|b", "[a]"]}, "x.csv")
    assert not MultiLabel().bad_rows(fine)


def test_an_unknown_label_and_no_label_at_all_are_refused():
    table = Table({"text": ["x", "y"], "labels": [[], ["god"]]}, "t.csv")
    with pytest.raises(DataError, match=r"'god' of the test rows.*row 2.*\"good\""):
        MultiLabel().check_labels(table, LABELS, "test")
    with pytest.raises(DataError, match="no labels in any of 1 rows"):
        MultiLabel().learn_labels(table.select([0]))


def test_the_loss_of_labels_is_binary_cross_entropy():
    random = np.random.default_rng(0)
    outputs = random.normal(0, 3, (4, 3)).astype("float32")
    labels = random.integers(0, 2, (4, 3)).astype("float32")
    weights = np.array([1, 1, 1, 0], "float32")
    batch = {"labels": labels, "weights": weights}
    total, weight = MultiLabel().loss(outputs, batch)
    p = 1 / (1 + np.exp(-outputs.astype("float64")))
    wanted = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(axis=1)
    assert float(total) == pytest.approx(wanted[:3].sum(), rel=1e-5)
    assert float(weight) == 3


def test_numbers_that_can_be_learned_are_learned_in_their_unit(numbers_run):
    assert numbers_run.metrics["test"]["mae"] < 10
    assert numbers_run.metrics["test"]["pearson"] > 0.99
    high, low = (one["value"] for one in numbers_run.predict(["good x", "bad x"]))
    assert abs(high - 300) < 20
    assert abs(low - 100) < 20
    texts = ["good x", "", "bad " * 90]
    assert tfft.load(numbers_run.folder).predict(texts) == numbers_run.predict(texts)
    record = numbers_run.record["task"]
    assert 195 < record["center"] < 205
    assert 95 < record["scale"] < 105


def test_a_pair_has_a_similarity(tune):
    task = Regression(text=("a", "b"))
    run = tune(data=number_rows(pair=True), task=task, epochs=5, batch_size=8)
    assert run.metrics["test"]["pearson"] > 0.95
    [one] = run.predict([("good", "xyz")])
    assert one == run.predict([{"b": "xyz", "a": "good"}])[0]
    assert one != run.predict([("xyz", "good")])[0]


def test_center_and_scale_can_be_given(tune):
    task = Regression(center=0.0, scale=2.0)
    assert task.learned_from(Table({"label": [5.0, 7.0]}, "x"), ())[0] == task
    outputs = np.array([[1.5]], "float32")
    assert task.decode(outputs, None, None, ()).tolist() == [3.0]


@pytest.mark.parametrize("value", [None, "high", "", True, "nan", float("inf"), [1]])
def test_what_is_no_number_is_a_bad_row(value):
    table = Table({"text": ["x"], "label": [value]}, "x")
    [bad] = Regression().bad_rows(table)
    assert "is not a finite number" in bad.reason


def test_numbers_as_text_are_numbers_and_one_alone_is_refused():
    table = Table({"text": ["x", "y"], "label": ["1.5", 1]}, "x")
    assert Regression().gold(table, ()).tolist() == [1.5, 1.0]
    with pytest.raises(DataError, match=r"only one number: all 1 rows are 1\.5"):
        Regression().learn_labels(table.select([0]))


@pytest.mark.parametrize("name", ["labels_run", "numbers_run"])
def test_exported_models_answer_as_the_run(name, request, tmp_path):
    import tensorflow as tf

    run = request.getfixturevalue(name)
    folder = run.export(tmp_path / "served")
    model = tf.saved_model.load(str(folder))
    texts = ["good abc", "bad", "漢字 🙂"]
    found = model.signatures["serving_default"](text=tf.constant(texts))
    for row, answer in enumerate(run.predict(texts)):
        if "value" in answer:
            assert float(found["value"][row]) == pytest.approx(
                answer["value"], abs=1e-3
            )
        else:
            p = list(answer["probabilities"].values())
            np.testing.assert_allclose(found["probabilities"][row], p, atol=1e-5)
            chosen = [label in answer["labels"] for label in LABELS]
            assert found["labels"].numpy()[row].tolist() == chosen
    examples = tf.constant([example(text) for text in texts])
    if name == "numbers_run":
        again = model.signatures["regress"](inputs=examples)
        assert again["outputs"].numpy().tolist() == found["value"].numpy().tolist()
    else:
        again = model.signatures["classify"](inputs=examples)
        assert again["classes"].numpy().tolist() == [[x.encode() for x in LABELS]] * 3
        assert (again["scores"].numpy() == found["probabilities"].numpy()).all()


def example(text):
    """Returns a serialized tf.train.Example as clients of TF Serving send it."""
    import tensorflow as tf

    value = tf.train.BytesList(value=[text.encode()])
    features = {"text": tf.train.Feature(bytes_list=value)}
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (MultiLabel, {"thresholds": (1.5,)}),
        (MultiLabel, {"separator": ""}),
        (MultiLabel, {"label": "text"}),
        (Regression, {"scale": 0}),
        (Regression, {"center": float("nan")}),
        (Regression, {"label": "text"}),
        (Regression, {"max_length": 2}),
        (Regression, {"tail_tokens": -1}),
        (Regression, {"tail_tokens": 5, "max_length": 8}),
        (MultiLabel, {"tail_tokens": 1, "text": "one,other"}),
        (MultiLabel, {"dropout": 1}),
    ],
)
def test_options_that_make_no_sense_are_refused(kind, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        kind(**options)


@pytest.mark.parametrize(
    ("kind", "label"),
    [(MultiLabel, ["a"]), (Regression, 1.0), (TextClassification, "a")],
)
def test_the_end_of_a_long_text_is_kept(kind, label):
    tokenizer = word_piece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "!"])
    name = kind().label
    rows = Table.from_rows([{"text": "good " * 20 + "bad !", name: label}], "x")
    [ids] = (
        kind(max_length=8, tail_tokens=2)
        .encode(rows, tokenizer, None)
        .examples.sequences["token_ids"]
    )
    expected = ["[CLS]", *["good"] * 4, "bad", "!", "[SEP]"]
    assert ids == [tokenizer.id_of(token) for token in expected]


def test_splits_keep_rare_labels_and_the_range_of_numbers():
    rows = [["a"], ["a", "b"], [], ["b"], ["a"]]
    assert rarest(rows) == ["a", "b", "", "b", "a"]
    found = bands(list(range(100)))
    assert sorted(set(found)) == [0, 1, 2, 3, 4]
    assert found[0] == 0
    assert found[99] == 4


def truths(count=40):
    return [
        {"text": f"{'good' if i % 2 else 'bad'} {i}", "label": bool(i % 2)}
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def truths_run(tune):
    return tune(data=truths())


def test_true_and_false_come_back_as_what_they_were(truths_run):
    for run in (truths_run, tfft.load(truths_run.folder)):
        assert run.labels == (False, True)
        for answer in run.predict(["good", "bad"]):
            assert type(answer["label"]) is bool
            assert list(answer["probabilities"]) == ["False", "True"]


def test_a_file_spells_true_as_text(truths_run, tmp_path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(truths()).to_csv(tmp_path / "a.csv")
    found = truths_run.evaluate(tmp_path / "a.csv")
    assert found.metrics == truths_run.evaluate(truths()).metrics


def test_a_run_with_true_as_text_still_takes_bools(truths_run, tmp_path):
    import json
    import shutil

    old = tmp_path / "old"  # as runs were written before
    shutil.copytree(truths_run.folder, old)
    record = json.loads((old / "run.json").read_text())
    record["labels"] = ["False", "True"]
    (old / "run.json").write_text(json.dumps(record))
    run = tfft.load(old)
    assert run.evaluate(truths()).metrics == truths_run.evaluate(truths()).metrics
    assert {answer["label"] for answer in run.predict(["a", "b"])} <= {"False", "True"}


def test_true_is_not_the_number_one():
    table = Table({"text": ["a", "b", "c"], "label": [True, 1, 0]}, "list")
    with pytest.raises(DataError, match="labels of types bool and int"):
        TextClassification().learn_labels(table)
    only_bools = Table({"text": ["a"], "label": [True]}, "list")
    with pytest.raises(DataError, match="class True of the test rows is absent"):
        TextClassification().check_labels(only_bools, (0, 1), "test")


@pytest.mark.parametrize(
    "labels",
    [[0.5, 0.25, 1.0], ["0.5", "0.25", "1.0"], [i / 7 for i in range(40)]],
)
def test_labels_that_are_numbers_are_refused_with_the_fix(tune, labels):
    rows = [{"text": f"a {i}", "label": one} for i, one in enumerate(labels)]
    with pytest.raises(
        DataError, match=r"the labels are numbers such as .*task=\"regression\""
    ):
        tune(data=rows)


def test_numbers_that_are_few_classes_are_learned_and_noted(tune, capsys):
    stars = ["0.5", "1", "1.5", "2.0"]
    rows = [{"text": f"a {i}", "label": stars[i % 4]} for i in range(80)]
    assert tune(data=rows, verbose=1).labels == tuple(stars)
    shown = capsys.readouterr().out
    assert "note: labels are numbers such as '0.5', and each is a class" in shown


@pytest.mark.parametrize(
    "labels", [["1", "2"], ["v0.5", "0.5"], ["1.0", "2.0"], [1, 2]]
)
def test_whole_numbers_and_names_are_classes(labels):
    rows = [{"text": f"a {i}", "label": labels[i % 2]} for i in range(4)]
    table = Table.from_rows(rows, "list")
    task = TextClassification()
    assert task.bad_rows(table) == []
    assert task.learned_from(table, task.learn_labels(table))[1] == []


def test_one_number_with_a_fraction_is_one_bad_row():
    table = Table({"text": ["a", "b", "c"], "label": [1, 2, 0.5]}, "list")
    ((row, column, reason),) = TextClassification().bad_rows(table)
    assert (row, column) == (2, "label")
    assert "number with a fraction" in reason
