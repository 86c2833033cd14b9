"""Scores of generated texts against reference texts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from tfft.core.errors import ConfigError, DataError, nearest, one_of
from tfft.evaluation.metrics import rising
from tfft.evaluation.score_words import ScoreWords, bleu_tokenizer

DESCRIBED = (
    rising("bleu", "BLEU of all texts, 0 to 100", "sacrebleu: BLEU"),
    rising("chrf", "F-score of character sequences, 0 to 100", "sacrebleu: CHRF"),
    rising("rouge1", "mean F1 of words, 0 to 100", "rouge-score: RougeScorer"),
    rising("rouge2", "mean F1 of pairs of words, 0 to 100", "rouge-score: RougeScorer"),
    rising(
        "rougeL",
        "mean F1 of longest common subsequences of words, 0 to 100",
        "rouge-score: RougeScorer",
    ),
    rising("exact_match", "share of equal texts, 0 to 100"),
)


def text_scores(
    answers: Sequence[str], references: Sequence[str], names: Sequence[str]
) -> dict[str, float]:
    """Returns scores over all texts, each from 0 to 100.

    Warns when a score is 0 because it cannot be measured on these texts.

    Args:
        answers: The generated texts.
        references: One reference text for each answer.
        names: Any of `bleu` and `chrf` (by sacrebleu; BLEU counts words, or characters
            in languages without spaces between words), `rouge` (by rouge-score: F1 of
            words, of pairs of words and of longest common subsequences) and
            `exact_match` (ignores white space around a text).

    Raises:
        ConfigError: For an unknown name.
        DataError: Without texts, or without one reference for each answer.

    >>> text_scores(["Paris ", "Rome"], ["Paris", "Bonn"], ["exact_match"])
    {'exact_match': 50.0}
    """
    if not answers or len(answers) != len(references):
        raise DataError(
            f"{len(answers):,} answers and {len(references):,} references",
            where="text_scores",
            expected="at least one answer, and a reference for each",
            fix="score the answers to the rows that have references",
        )
    results: dict[str, float] = {}
    for name in names:
        if name not in _SCORES:
            raise ConfigError(
                f"unknown score {name!r}",
                expected=one_of(_SCORES),
                fix=nearest(name, _SCORES) or "choose one of them",
            )
        results.update(_SCORES[name](answers, references))
    return results


def _bleu(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from sacrebleu.metrics import BLEU

    bleu = BLEU(tokenize=bleu_tokenizer(references))
    found = bleu.corpus_score(list(answers), [list(references)])
    if not found.totals[-1]:
        _warn("bleu is 0: no answer has the four words in a row that it counts")
    return {"bleu": found.score}


def _chrf(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from sacrebleu.metrics import CHRF

    return {"chrf": CHRF().corpus_score(list(answers), [list(references)]).score}


def _rouge(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from rouge_score.rouge_scorer import RougeScorer

    kinds = ("rouge1", "rouge2", "rougeL")
    words = ScoreWords()
    sizes = [len(words.tokenize(reference)) for reference in references]
    for name, least in (("rouge", 1), ("rouge2", 2)):
        few = sum(size < least for size in sizes)
        # A text without words has no pairs either; one warning is enough.
        if few and (least == 1 or min(sizes) > 0):
            _warn(
                f"{name} is 0 for {few:,} of {len(sizes):,} references: "
                f"they have fewer than {least} words"
            )
    scorer = RougeScorer(kinds, tokenizer=words)
    pairs = zip(references, answers, strict=True)
    each = [scorer.score(reference, answer) for reference, answer in pairs]
    return {
        kind: 100 * sum(one[kind].fmeasure for one in each) / len(each)
        for kind in kinds
    }


def _exact(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    pairs = zip(answers, references, strict=True)
    hits = sum(answer.strip() == reference.strip() for answer, reference in pairs)
    return {"exact_match": 100 * hits / len(answers)}


def _warn(what: str) -> None:
    warnings.warn(f"{what}; see chrf and exact_match instead", stacklevel=4)


_SCORES: dict[str, Callable[[Sequence[str], Sequence[str]], dict[str, float]]] = {
    "bleu": _bleu,
    "chrf": _chrf,
    "rouge": _rouge,
    "exact_match": _exact,
}
