"""Every report against seqeval, scikit-learn and counting by hand."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from scipy import stats
from seqeval import metrics as seqeval
from sklearn import metrics as sklearn

from tfft.evaluation.details import Details
from tfft.evaluation.few_rows import FEW
from tfft.evaluation.report import REPORTS
from tfft.runs.report_files import write_report_files
from tfft.tasks.answers.answering import Answered, Candidate
from tfft.tasks.multi_label import LabelSets
from tfft.tasks.tokens.tag_schemes import repaired
from tfft.tasks.tokens.tagging import Tagged

TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def tagged(rows=60, seed=0):
    """Returns predictions and right tags that agree more often than not."""
    generator, numbers = random.Random(seed), np.random.default_rng(seed)
    gold, found = [], []
    for _ in range(rows):
        right = repaired(generator.choices(TAGS, k=generator.randint(1, 9)))
        noise = generator.choices(TAGS, k=len(right))
        pairs = zip(right, noise, strict=True)
        said = [tag if generator.random() < 0.7 else other for tag, other in pairs]
        gold.append(right)
        p = numbers.dirichlet(np.ones(len(TAGS)), len(right))
        found.append(Tagged(repaired(said), p))
    return found, gold, TAGS


def classified(rows=80, seed=0):
    numbers = np.random.default_rng(seed)
    p = numbers.dirichlet(np.ones(3), rows).astype("float32")
    return p, numbers.integers(0, 3, rows), ("a", "b", "c")


def labelled(rows=80, seed=0):
    numbers = np.random.default_rng(seed)
    p = numbers.random((rows, 4))
    gold = (p + numbers.normal(0, 0.4, p.shape) > 0.6).astype("float32")
    return LabelSets(p, p > 0.5), gold, ("a", "b", "c", "d")


def answered(rows=80, seed=0):
    generator = random.Random(seed)
    words = ["the tower", "Tower", "a b", "b", "Rome."]
    found, gold = [], []
    for _ in range(rows):
        text = generator.choice(words)
        candidates = [Candidate(generator.random(), 0, len(text), text)]
        found.append(Answered(candidates, generator.random(), 0.0))
        gold.append(generator.sample(words, generator.randint(0, 2)))
    return found, gold, ()


def measured(rows=80, seed=0):
    numbers = np.random.default_rng(seed)
    gold = numbers.normal(1000, 5, rows)
    return gold + numbers.normal(0, 3, rows), gold, ()


def predicted(rows=80, seed=0):
    numbers = np.random.default_rng(seed)
    counts = numbers.integers(1, 30, rows)
    hits = numbers.integers(0, counts + 1)
    return np.stack([numbers.random(rows) * counts, hits, counts], axis=1), None, ()


CASES = {
    "text_classification": classified,
    "causal_lm": predicted,
    "multi_label": labelled,
    "question_answering": answered,
    "regression": measured,
    "token_classification": tagged,
}


def test_every_report_is_covered():
    elsewhere = {"causal_lm"}  # its own file
    assert set(CASES) | elsewhere == set(REPORTS.names())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_statistics_of_all_rows_sum_up_to_the_scores(name, seed):
    case = CASES[name](seed=seed)
    kind = REPORTS.get(name)
    report, evidence = kind.make(*case), kind.evidence(*case)
    scores = evidence.score(evidence.statistics.sum(axis=0))
    shared = set(scores) & set(report.metrics)
    assert len(shared) >= 2
    for score in shared:
        # The same figure by sums and by the library: float64 rounding alone.
        assert float(scores[score]) == pytest.approx(report.metrics[score], abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_reports_are_plain_values_and_tables(name):
    report = REPORTS.get(name).make(*CASES[name]())
    assert json.loads(json.dumps(report.to_dict()))["notes"] == []
    assert report.monitor[0] in report.metrics
    for table in report.tables():
        assert all(len(row) == len(table.header) for row in table.rows)
    assert report.to_markdown().count("\n| --- |") == len(report.tables())


@pytest.mark.parametrize("seed", range(5))
def test_entities_and_words_to_the_last_digit(seed):
    found, gold, labels = tagged(seed=seed)
    report = REPORTS.get("token_classification").make(found, gold, labels)
    said = [one.tags for one in found]
    assert report.metrics["f1"] == seqeval.f1_score(gold, said)
    assert report.metrics["precision"] == seqeval.precision_score(gold, said)
    assert report.metrics["recall"] == seqeval.recall_score(gold, said)
    assert report.metrics["macro_f1"] == seqeval.f1_score(gold, said, average="macro")
    flat = [[tag for row in rows for tag in row] for rows in (gold, said)]
    assert report.metrics["word_accuracy"] == sklearn.accuracy_score(*flat)
    weighted = sklearn.f1_score(*flat, average="weighted", labels=list(labels))
    assert report.metrics["word_weighted_f1"] == weighted
    assert report.words["O"]["support"] == flat[0].count("O")


def test_entities_by_hand():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    said = [["B-PER", "O", "O", "B-LOC"], ["B-PER", "O"]]
    found = [Tagged(one, np.full((len(one), 5), 0.2)) for one in said]
    report = REPORTS.get("token_classification").make(found, gold, TAGS)
    # One of three found entities, one of three right ones.
    assert report.metrics["f1"] == pytest.approx(1 / 3)
    assert report.entities["LOC"]["precision"] == 1.0
    assert report.entities["LOC"]["recall"] == 0.5
    assert report.entities["PER"]["support"] == 1
    assert report.words["O"]["f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert report.metrics["loss"] == pytest.approx(-np.log(0.2))
    titles = [table.title for table in report.tables()]
    assert titles[0].startswith("Entities")
    assert titles[1].endswith("O included")


def test_label_sets_to_the_last_digit():
    found, gold, labels = labelled()
    report = REPORTS.get("multi_label").make(found, gold, labels)
    for average in ("micro", "macro"):
        wanted = sklearn.f1_score(gold, found.chosen, average=average)
        assert report.metrics[f"{average}_f1"] == wanted
    wanted = sklearn.f1_score(gold, found.chosen, average="samples", zero_division=0)
    assert report.metrics["sample_f1"] == wanted
    assert report.metrics["all_right"] == sklearn.accuracy_score(gold, found.chosen)
    p = found.probabilities
    assert report.metrics["ranking_loss"] == sklearn.label_ranking_loss(gold, p)
    log_loss = -np.log(np.where(gold > 0, p, 1 - p)).mean()
    assert report.metrics["loss"] == pytest.approx(log_loss)


def test_numbers_to_the_last_digit():
    found, gold, _ = measured()
    report = REPORTS.get("regression").make(found, gold, ())
    assert report.metrics["mse"] == sklearn.mean_squared_error(gold, found)
    assert report.metrics["r2"] == sklearn.r2_score(gold, found)
    assert report.metrics["pearson"] == stats.pearsonr(gold, found).statistic
    assert report.metrics["spearman"] == stats.spearmanr(gold, found).statistic
    constant = REPORTS.get("regression").make(np.ones(3), np.arange(3.0), ())
    assert constant.metrics["pearson"] == constant.metrics["spearman"] == 0


def test_answers_by_hand():
    def said(text, threshold=0.0, lead=-1.0):
        return Answered([Candidate(1.0, 0, 9, text)], 1.0 + lead, threshold)

    found = [said("the b"), said("b c"), said("x", lead=1.0), said("x")]
    gold = [["b"], ["b", "z"], [], []]
    report = REPORTS.get("question_answering").make(found, gold, ())
    assert report.metrics == {"exact_match": 0.5, "f1": (1 + 2 / 3 + 1 + 0) / 4}
    assert report.groups["answer"]["exact_match"] == 0.5
    assert report.groups["no answer"] == {
        "exact_match": 0.5, "f1": 0.5, "answered": 0.5, "questions": 2.0,
    }  # fmt: skip


def silent():
    """Returns for each report answers that are all the same, and what is right."""
    _, gold, labels = classified()
    sets, truth, names = labelled()
    answers, right, _ = answered()
    numbers, measures, _ = measured()
    rows, tags, _ = tagged()
    return {
        "text_classification": (np.eye(3)[np.zeros(len(gold), int)], gold, labels),
        "multi_label": (LabelSets(sets.probabilities, truth > 2), truth, names),
        "question_answering": ([Answered([], 1.0, 0.0)] * len(answers), right, ()),
        "regression": (numbers * 0 + 3, measures, ()),
        "token_classification": (
            [Tagged(["O"] * len(one.tags), one.probabilities) for one in rows],
            tags,
            TAGS,
        ),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text_classification", "all 80 rows are given 'a'"),
        ("multi_label", "no label is given to any of 80 rows"),
        ("question_answering", "no question is answered"),
        ("regression", "all 80 rows are given the same number, 3"),
        ("token_classification", "every word is tagged O: none of "),
    ],
)
def test_a_model_with_one_answer_for_all_rows_is_said(name, said, tmp_path):
    report = REPORTS.get(name).make(*silent()[name])
    (note,) = report.notes
    assert note.startswith(said)
    assert report.to_dict()["notes"] == [note]
    write_report_files(tmp_path, {"test": report}, "a", {"test": {}})
    assert f"\n\n- {said}" in (tmp_path / "report.md").read_text()
    assert said.replace("'", "&#39;") in (tmp_path / "report.html").read_text()


def nothing_right():
    """Returns rows in which nothing is to be found, and nothing is."""
    none = np.zeros((FEW, 2), "float32")
    return {
        "text_classification": (np.eye(2)[[0] * FEW], np.zeros(FEW, int), ("a", "b")),
        "multi_label": (LabelSets(none + 0.1, none > 1), none, ("a", "b")),
        "question_answering": ([Answered([], 1.0, 0.0)] * FEW, [[]] * FEW, ()),
        "regression": (np.full(FEW, 3.0), np.full(FEW, 3.0), ()),
        "token_classification": (
            [Tagged(["O"], np.eye(5)[:1])] * FEW, [["O"]] * FEW, TAGS,
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["text_classification", "multi_label", "question_answering"]
)
def test_a_report_of_few_rows_says_what_they_cannot_tell(name):
    predictions, gold, labels = nothing_right()[name]
    if name == "multi_label":
        six = LabelSets(predictions.probabilities[:6], predictions.chosen[:6])
    else:
        six = predictions[:6]
    report = REPORTS.get(name).make(six, gold[:6], labels)
    # With a chance of 39 % for each to be wrong, all six are right in 5 % of cases.
    assert (1 - 0.39) ** 6 == pytest.approx(0.05, abs=2e-3)
    (note,) = report.notes
    assert note.startswith("6 rows tell little")
    assert "up to 39 %" in note


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sorted(set(CASES) - {"causal_lm"}))
def test_rows_without_anything_to_find_have_scores_that_json_knows(name):
    case = nothing_right()[name]
    kind = REPORTS.get(name)
    report = kind.make(*case)
    assert report.notes == ()
    json.dumps(report.to_dict(), allow_nan=False)
    texts, places = [("a",)] * FEW, ["rows 1"] * FEW
    details = Details.of(kind.evidence(*case), texts, places, {})
    json.dumps(details.to_dict(), allow_nan=False)
    assert "nan" not in report.to_markdown()


def test_no_entity_at_all_is_a_score_of_zero():
    report = REPORTS.get("token_classification").make(
        *nothing_right()["token_classification"]
    )
    assert report.metrics["macro_f1"] == report.metrics["f1"] == 0.0
    assert set(report.entities) == {"micro avg", "macro avg", "weighted avg"}
