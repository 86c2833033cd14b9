"""Every metric of every report is described, and is what a library computes."""

from __future__ import annotations

import random
import re
import string
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from scipy import special, stats
from seqeval import metrics as seqeval
from sklearn import metrics as sklearn

from tfft.core.errors import ConfigError
from tfft.evaluation import text_scores
from tfft.evaluation.report import REPORTS, metric_named
from tfft.evaluation.spread import gain
from tfft.recipes.ensemble import EnsembleScores
from tfft.tasks.answers.answering import Answered, Candidate
from tfft.tasks.multi_label import LabelSets
from tfft.tasks.tokens.tag_schemes import repaired
from tfft.tasks.tokens.tagging import Tagged

ROWS = 70
CLASSES = ("a", "b", "c")
TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
# The same sums in another order, from probabilities in float64.
ROUNDING = 1e-9


def text_classification():
    numbers = np.random.default_rng(0)
    p, gold = numbers.dirichlet(np.ones(3), ROWS), numbers.integers(0, 3, ROWS)
    said = p.argmax(axis=1)
    scores = {
        "accuracy": sklearn.accuracy_score(gold, said),
        "macro_f1": sklearn.f1_score(gold, said, average="macro"),
        "weighted_f1": sklearn.f1_score(gold, said, average="weighted"),
        "loss": sklearn.log_loss(gold, p),
    }
    return (p, gold, CLASSES), (np.eye(3)[gold], gold, CLASSES), scores


def causal_lm():
    numbers = np.random.default_rng(0)
    logits = [numbers.normal(size=(numbers.integers(1, 9), 5)) for _ in range(ROWS)]
    gold = [numbers.integers(0, 5, len(one)) for one in logits]

    def row(logits, right):
        nll = -special.log_softmax(logits, axis=1)[np.arange(len(right)), right]
        return nll.sum(), (logits.argmax(axis=1) == right).sum(), len(right)

    rows = np.array([row(*pair) for pair in zip(logits, gold, strict=True)])
    flat, right = np.concatenate(logits), np.concatenate(gold)
    loss = sklearn.log_loss(right, special.softmax(flat, axis=1), labels=range(5))
    scores = {
        "loss": loss,
        "perplexity": np.exp(loss),
        "token_accuracy": sklearn.accuracy_score(right, flat.argmax(axis=1)),
    }
    perfect = np.stack([rows[:, 2] * 0, rows[:, 2], rows[:, 2]], axis=1)
    return (rows, None, ()), (perfect, None, ()), scores


def multi_label():
    numbers = np.random.default_rng(0)
    p = numbers.random((ROWS, 4))
    gold = (p + numbers.normal(0, 0.4, p.shape) > 0.6).astype("float32")
    said, labels = p > 0.5, ("a", "b", "c", "d")
    samples = sklearn.f1_score(gold, said, average="samples", zero_division=0)
    scores = {
        "micro_f1": sklearn.f1_score(gold, said, average="micro"),
        "macro_f1": sklearn.f1_score(gold, said, average="macro"),
        "sample_f1": samples,
        "all_right": sklearn.accuracy_score(gold, said),
        "ranking_precision": sklearn.label_ranking_average_precision_score(gold, p),
        "ranking_loss": sklearn.label_ranking_loss(gold, p),
        "coverage": sklearn.coverage_error(gold, p),
        "loss": sklearn.log_loss(gold.ravel(), p.ravel()),
    }
    perfect = LabelSets(gold, gold > 0.5)
    return (LabelSets(p, said), gold, labels), (perfect, gold, labels), scores


def squad_words(text):
    """Returns the words of an answer as SQuAD compares them."""
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def squad_f1(said, right):
    said, right = squad_words(said), squad_words(right)
    if not said or not right:
        return float(said == right)
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right))


def question_answering():
    generator = random.Random(0)
    words = ["the red tower", "Tower", "a b", "b", "Rome.", "red"]
    gold = [generator.sample(words, generator.randint(0, 2)) for _ in range(ROWS)]
    texts = [generator.choice(words) for _ in gold]

    def said(text):
        candidates = [Candidate(1.0, 0, len(text), text)] if text else []
        return Answered(candidates, 0.0 if text else 2.0, 0.0)

    pairs = [(text, right or [""]) for text, right in zip(texts, gold, strict=True)]
    equal = [
        any(squad_words(text) == squad_words(one) for one in right)
        for text, right in pairs
    ]
    overlaps = [max(squad_f1(text, one) for one in right) for text, right in pairs]
    scores = {"exact_match": np.mean(equal), "f1": np.mean(overlaps)}
    perfect = [said(right[0] if right else "") for right in gold]
    return ([said(text) for text in texts], gold, ()), (perfect, gold, ()), scores


def regression():
    numbers = np.random.default_rng(0)
    gold = numbers.normal(1000, 5, ROWS)
    said = gold + numbers.normal(0, 3, ROWS)
    scores = {
        "mse": sklearn.mean_squared_error(gold, said),
        "rmse": sklearn.root_mean_squared_error(gold, said),
        "mae": sklearn.mean_absolute_error(gold, said),
        "r2": sklearn.r2_score(gold, said),
        "pearson": stats.pearsonr(gold, said).statistic,
        "spearman": stats.spearmanr(gold, said).statistic,
    }
    return (said, gold, ()), (gold, gold, ()), scores


def token_classification():
    generator, numbers = random.Random(0), np.random.default_rng(0)
    gold, said, p = [], [], []
    for _ in range(ROWS):
        right = repaired(generator.choices(TAGS, k=generator.randint(1, 9)))
        noise = generator.choices(TAGS, k=len(right))
        pairs = zip(right, noise, strict=True)
        said.append(repaired([a if generator.random() < 0.7 else b for a, b in pairs]))
        gold.append(right)
        p.append(numbers.dirichlet(np.ones(len(TAGS)), len(right)))
    flat = [[tag for row in rows for tag in row] for rows in (gold, said)]
    ids = [TAGS.index(tag) for tag in flat[0]]
    words = sklearn.f1_score(*flat, average="weighted")
    scores = {
        "precision": seqeval.precision_score(gold, said),
        "recall": seqeval.recall_score(gold, said),
        "f1": seqeval.f1_score(gold, said),
        "macro_f1": seqeval.f1_score(gold, said, average="macro"),
        "word_accuracy": sklearn.accuracy_score(*flat),
        "word_weighted_f1": words,
        "loss": sklearn.log_loss(ids, np.concatenate(p), labels=range(len(TAGS))),
    }
    found = [Tagged(*one) for one in zip(said, p, strict=True)]
    sure = [np.eye(len(TAGS))[[TAGS.index(tag) for tag in row]] for row in gold]
    perfect = [Tagged(*one) for one in zip(gold, sure, strict=True)]
    return (found, gold, TAGS), (perfect, gold, TAGS), scores


CASES = {
    case.__name__: case
    for case in (
        causal_lm, multi_label, question_answering,
        regression, text_classification, token_classification,
    )
}  # fmt: skip


def test_every_report_has_a_case():
    assert set(CASES) == set(REPORTS.names())


@pytest.mark.parametrize("name", CASES)
def test_each_metric_is_described_and_equals_the_library_s(name):
    case, _, wanted = CASES[name]()
    kind = REPORTS.get(name)
    found = kind.make(*case).metrics
    assert list(found) == [metric.name for metric in kind.described]
    assert found == pytest.approx(wanted, rel=ROUNDING)


@pytest.mark.parametrize("name", CASES)
def test_scores_of_slices_and_intervals_are_described(name):
    case, _, wanted = CASES[name]()
    kind = REPORTS.get(name)
    evidence = kind.evidence(*case)
    found = evidence.score(evidence.statistics.sum(axis=0))
    assert set(found) <= {metric.name for metric in kind.described}
    for metric, value in found.items():
        # Sums of squares around the mean of the right numbers, not around zero.
        assert float(value) == pytest.approx(wanted[metric], rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_right_answers_are_better_than_wrong_ones_in_each_metric(name):
    case, perfect, _ = CASES[name]()
    kind = REPORTS.get(name)
    before, after = kind.make(*case).metrics, kind.make(*perfect).metrics
    for metric in kind.described:
        assert gain(metric.name, before[metric.name], after[metric.name]) > 0
        better = after[metric.name] > before[metric.name]
        assert metric.higher_is_better == better


def test_a_metric_has_the_same_direction_in_every_report():
    directions = {}
    for kind in map(REPORTS.get, REPORTS.names()):
        assert kind.monitor in [one.monitor for one in kind.described]
        for one in kind.described:
            assert one.formula
            assert one.source == "tfft" or ": " in one.source
            directions.setdefault(one.name, set()).add(one.higher_is_better)
    assert all(len(found) == 1 for found in directions.values())


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(ConfigError, match="no metric 'acuracy'") as caught:
        metric_named("acuracy")
    assert caught.value.fix == 'did you mean "accuracy"?'


@pytest.mark.parametrize("metric", ["ranking_loss", "coverage", "loss", "mae"])
def test_the_best_member_of_an_ensemble_has_the_least_error(metric):
    scores = EnsembleScores(
        metric, {"good": {metric: 0.1}, "bad": {metric: 0.4}}, {metric: 0.2}, "average"
    )
    assert scores.best == "good"
    assert scores.gain == pytest.approx(-0.1)


def test_each_score_of_texts_is_described_and_equals_the_library_s():
    said = ["the cat sat on the mat today", "a dog barks", "yes"]
    right = ["the cat sat on a mat today", "the dog barks loudly", "yes"]
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    each = [rouge.score(*pair) for pair in zip(right, said, strict=True)]
    wanted = {
        "bleu": sacrebleu.corpus_bleu(said, [right]).score,
        "chrf": sacrebleu.corpus_chrf(said, [right]).score,
        **{
            kind: 100 * np.mean([one[kind].fmeasure for one in each])
            for kind in ("rouge1", "rouge2", "rougeL")
        },
        "exact_match": 100 / 3,
    }
    names = ["bleu", "chrf", "rouge", "exact_match"]
    with pytest.warns(UserWarning, match="rouge2 is 0 for 1 of 3"):
        found = text_scores.text_scores(said, right, names)
    assert list(found) == [one.name for one in text_scores.DESCRIBED]
    assert found == pytest.approx(wanted, rel=ROUNDING)
    assert all(one.higher_is_better for one in text_scores.DESCRIBED)
