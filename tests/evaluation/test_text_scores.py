"""Scores of texts against what sacrebleu and rouge-score give themselves."""

from __future__ import annotations

import warnings

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from tfft.core.errors import DataError
from tfft.evaluation.text_scores import text_scores

ALL = ("bleu", "chrf", "rouge", "exact_match")

ENGLISH = [
    ("The cats don't run_fast on 2nd mats, running!", "The cat doesn't run on a mat."),
    ("He said: 'It's 3.5 km away' -- twice.", "It's 3.5 km off, he said twice."),
    ("Flying planes can be dangerous (so they say)", "Planes that fly are dangerous."),
    ("state-of-the-art e-mail; U.S.A.", "State of the art email in the U.S."),
    ("", "nothing at all"),
]  # fmt: skip

EQUAL = [
    "今天天气很好我们去公园散步",
    "東京はとても大きい都市です",
    "Сегодня хорошая погода, мы идём гулять",
    "오늘은 날씨가 좋아서 공원에 갑니다",
    "วันนี้อากาศดีมากเราไปเดินเล่น",
    "आज मौसम अच्छा है हम टहलने जाते हैं",
    "اليوم الطقس جميل ونحن نذهب للتنزه",
    "Η Αθήνα είναι μεγάλη και όμορφη πόλη",
    "Die Größe der Straße überrascht uns alle sehr",
]


def test_scores_of_english_are_those_of_the_libraries():
    answers, references = (list(texts) for texts in zip(*ENGLISH, strict=True))
    found = text_scores(answers, references, ALL)
    bleu = sacrebleu.corpus_bleu(answers, [references]).score
    assert found["bleu"] == pytest.approx(bleu)
    assert found["chrf"] == sacrebleu.corpus_chrf(answers, [references]).score
    kinds = ["rouge1", "rouge2", "rougeL"]
    scorer = RougeScorer(kinds, use_stemmer=True)
    each = [scorer.score(right, answer) for answer, right in ENGLISH]
    for kind in kinds:
        mean = sum(one[kind].fmeasure for one in each) / len(each)
        assert found[kind] == pytest.approx(100 * mean)


@pytest.mark.parametrize("text", EQUAL)
def test_equal_texts_of_any_script_score_100_and_others_less(text):
    found = text_scores([text], [text], ALL)
    assert found == pytest.approx(dict.fromkeys(found, 100))
    part = text_scores([text[: 4 * len(text) // 5]], [text], ALL)
    assert all(0 < part[name] < 100 for name in part if name != "exact_match")


def test_letters_beyond_ascii_count():
    assert text_scores(["gr e f r"], ["Größe für"], ["rouge"])["rouge1"] == 0
    # One letter, composed and not.
    assert text_scores(["caf\u00e9 au"], ["cafe\u0301 au"], ["rouge"])["rouge1"] == 100


def test_chinese_bleu_is_that_of_sacrebleus_tokenizer():
    answers, references = (
        ["今天天气很好，我们去 ABC 公园"],
        ["今天天气不好，我们去 ABC 公园"],
    )
    expected = sacrebleu.corpus_bleu(answers, [references], tokenize="zh").score
    assert 0 < expected < 100
    assert text_scores(answers, references, ["bleu"])["bleu"] == expected


@pytest.mark.parametrize(
    ("text", "names", "said"),
    [
        ("Paris", ["bleu"], "bleu is 0: no answer has the four words"),
        ("Paris", ["rouge"], "rouge2 is 0 for 1 of 1 references"),
        ("?!", ["rouge"], "rouge is 0 for 1 of 1 references"),
    ],
)
def test_a_score_that_cannot_tell_is_said(text, names, said):
    with pytest.warns(UserWarning, match=said) as caught:
        text_scores([text], [text], names)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = text_scores([text], [text], ["chrf", "exact_match"])
    assert found == {"chrf": 100, "exact_match": 100}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("answers", [["a", "b"], []])
def test_a_reference_for_each_answer_or_an_error(name, answers):
    with pytest.raises(DataError, match=f"{len(answers)} answers and 1 references"):
        text_scores(answers, ["a"], [name])
