"""Scores of generated texts against the ones that were wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfft.core.errors import ConfigError, nearest, one_of


def text_scores(
    answers: Sequence[str], references: Sequence[str], names: Sequence[str]
) -> dict[str, float]:
    """Returns scores over all texts, each from 0 to 100.

    Args:
        answers: What was generated.
        references: What was wanted, as many.
        names: `bleu` and `chrf` by sacrebleu, `rouge` by rouge-score (its F1 of
            words, of pairs and of longest common parts), `exact_match` without
            blanks around.

    Raises:
        ConfigError: For another name.

    >>> text_scores(["Paris ", "Rome"], ["Paris", "Bonn"], ["exact_match"])
    {'exact_match': 50.0}
    """
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

    return {"bleu": BLEU().corpus_score(list(answers), [list(references)]).score}


def _chrf(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from sacrebleu.metrics import CHRF

    return {"chrf": CHRF().corpus_score(list(answers), [list(references)]).score}


def _rouge(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from rouge_score.rouge_scorer import RougeScorer

    kinds = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(kinds, use_stemmer=True)
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


_SCORES: dict[str, Callable[[Sequence[str], Sequence[str]], dict[str, float]]] = {
    "bleu": _bleu,
    "chrf": _chrf,
    "rouge": _rouge,
    "exact_match": _exact,
}
