"""Cross-validation: the folds, the scores and the predictions, by scikit-learn."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from sklearn import metrics

import tfft
from tfft.core.errors import ConfigError, DataError, MissingInputError, OutputInUseError
from tfft.evaluation.cross_validation import read_result

FAST = {"method": "head", "epochs": 1, "precision": "float32", "verbose": 0}


@pytest.fixture(scope="module")
def rows(make_rows):
    """Rows of 12 threads, four of them copies of others."""
    rows = [{**row, "thread": i % 12} for i, row in enumerate(make_rows(44))]
    return rows + [{**row, "thread": 90 + i} for i, row in enumerate(rows[:4])]


@pytest.fixture(scope="module")
def found(bert_folder, rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds") / "threads"
    return tfft.cross_validate(
        model=bert_folder, data=rows, output_dir=folder, folds=3, group="thread", **FAST
    )


@pytest.fixture(scope="module")
def lines(found):
    text = (found.folder / "out_of_fold.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_row_is_tested_on_once(rows, lines):
    assert [line["row"] for line in lines] == list(range(len(rows)))
    assert [line["texts"] for line in lines] == [[row["text"]] for row in rows]
    assert [line["right"] for line in lines] == [row["label"] for row in rows]


def test_no_group_and_no_text_is_in_two_folds(rows, lines):
    for column in ("thread", "text"):
        homes = {
            (row[column], line["fold"]) for row, line in zip(rows, lines, strict=True)
        }
        assert set(Counter(value for value, _ in homes).values()) == {1}


def test_what_a_fold_was_trained_on_holds_none_of_it(found, rows, lines):
    # Rows of a split are known by its fingerprint: 48 in all, in three parts.
    for number in (1, 2, 3):
        record = tfft.load(found.folder / f"fold-{number}").record
        counts = record["data"]["rows"]
        assert counts["test"] == sum(line["fold"] == number for line in lines)
        assert sum(counts.values()) == len(rows)
        assert not any("also in train" in note for note in record["notes"])


def test_the_figures_are_scikit_learns_on_the_same_predictions(found, lines):
    by_fold = [[one for one in lines if one["fold"] == n] for n in (1, 2, 3)]
    for scores, part in [
        *zip(found.folds, by_fold, strict=True),
        (found.pooled, lines),
    ]:
        right, said = ([one[key] for one in part] for key in ("right", "answer"))
        spam = [one["prediction"]["probabilities"]["pos"] for one in part]
        assert scores["accuracy"] == metrics.accuracy_score(right, said)
        assert scores["macro_f1"] == pytest.approx(
            metrics.f1_score(right, said, average="macro", zero_division=0), abs=1e-12
        )
        # The probabilities are float32.
        assert scores["loss"] == pytest.approx(
            metrics.log_loss(right, np.stack([1 - np.array(spam), spam], 1)), abs=1e-6
        )
    accuracy = [one["accuracy"] for one in found.folds]
    assert found.spread["accuracy"].mean == pytest.approx(np.mean(accuracy))
    assert found.spread["accuracy"].std == pytest.approx(np.std(accuracy, ddof=1))


def test_a_prediction_is_that_of_the_model_that_had_not_seen_the_row(found, lines):
    line = lines[7]
    run = tfft.load(found.folder / f"fold-{line['fold']}")
    # Alone in its batch, and among others: sums in another order.
    expected = run.predict(line["texts"])[0]["probabilities"]
    assert line["prediction"]["probabilities"] == pytest.approx(expected, abs=1e-6)


def test_two_ways_are_compared_on_the_same_folds(found, bert_folder, rows, capsys):
    given = {"model": bert_folder, "data": rows, "folds": 3, "group": "thread", **FAST}
    other = tfft.cross_validate(
        **{**given, "learning_rate": 0.1, "verbose": 1},
        output_dir=found.folder.parent / "fast",
        against=found.folder,
    )
    shown = capsys.readouterr().out
    assert "Paired test over the folds" in shown
    assert "mean ± std" in shown
    test = other.tests(found)["loss"]
    means = [one.spread["loss"].mean for one in (found, other)]
    assert test.difference == pytest.approx(means[1] - means[0])
    assert 0 <= test.p_value <= 1
    assert other.tests(read_result(found.folder)) == other.tests(found)
    with pytest.raises(ConfigError, match=r"folds are not the same: folds.*differ"):
        tfft.cross_validate(
            **{**given, "folds": 2},
            output_dir=found.folder.parent / "two",
            against=found,
        )
    with pytest.raises(MissingInputError, match=r"no cross-validation"):
        tfft.cross_validate(**given, output_dir=found.folder, against=bert_folder)


def test_given_validation_rows_validate_and_test_rows_are_left_aside(
    bert_folder, rows, make_rows, tmp_path, capsys
):
    splits = {"train": rows, "validation": make_rows(9, 5), "test": make_rows(7, 6)}
    found = tfft.cross_validate(
        **{**FAST, "verbose": 1},
        model=bert_folder,
        data=splits,
        output_dir=tmp_path / "run",
        folds=2,
    )
    assert "7 test rows are not used" in capsys.readouterr().out
    assert sum(found.result["rows"]) == len(rows)
    counts = tfft.load(tmp_path / "run" / "fold-1").record["data"]["rows"]
    assert counts["validation"] == 9
    assert counts["train"] + counts["test"] == len(rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, r"folds=1 makes no sense.*2 or more"),
        ({"group": "thread", "folds": 40}, r"folds=40 with 12 groups"),
        ({"group": "thred"}, r"\"thred\" is missing.*\"thread\""),
        ({"fold": 3}, r"unknown option fold=3"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_training(
    options, message, bert_folder, rows, tmp_path
):
    given = {"model": bert_folder, "data": rows, "output_dir": tmp_path / "run"}
    with pytest.raises((ConfigError, DataError), match=message):
        tfft.cross_validate(**{**given, **FAST, **options})
    assert not list(tmp_path.rglob("run.json"))


def test_a_class_of_one_fold_is_refused_before_any_training(
    bert_folder, rows, tmp_path
):
    odd = [{**rows[0], "text": "good x", "label": "odd"}, *rows[1:]]
    with pytest.raises(DataError, match=r"'odd' of the fold \d rows is absent"):
        tfft.cross_validate(
            model=bert_folder, data=odd, output_dir=tmp_path / "run", **FAST
        )
    assert not list(tmp_path.rglob("run.json"))


def test_a_row_without_a_group_is_refused(bert_folder, rows, tmp_path):
    odd = [*rows[:5], {**rows[5], "thread": None}]
    with pytest.raises(DataError, match=r"row without a group.*row 6.*thread"):
        tfft.cross_validate(
            model=bert_folder, data=odd, output_dir=tmp_path, group="thread", **FAST
        )


def test_a_folder_in_use_is_refused(found, bert_folder, rows):
    with pytest.raises(OutputInUseError, match="not empty"):
        tfft.cross_validate(
            model=bert_folder, data=rows, output_dir=found.folder, **FAST
        )
