"""Scores answers by SQuAD's rules, and finds the best no-answer threshold.

The rules are those of the evaluation script of SQuAD 2.0 (Rajpurkar, Jia & Liang,
2018, arXiv:1806.03822). If every question has an answer, they equal those of 1.1.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(answer: str) -> str:
    """Returns an answer in lower case without punctuation, articles and extra spaces.

    >>> normalized("The  Eiffel-Tower!")
    'eiffeltower'
    """
    words = _ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION))
    return " ".join(words.split())


def _golds(golds: Sequence[str]) -> list[str]:
    """Returns the normalized correct answers; [""] without one."""
    return [one for one in map(normalized, golds) if one] or [""]


def exact(answer: str, golds: Sequence[str]) -> float:
    """Returns 1 if an answer is one of the correct ones, otherwise 0.

    >>> exact("the Eiffel Tower.", ["Eiffel Tower", "tower"]), exact("", [])
    (1.0, 1.0)
    """
    return float(normalized(answer) in _golds(golds))


def f1(answer: str, golds: Sequence[str]) -> float:
    """Returns the best word F1 of an answer against the correct answers.

    >>> f1("Eiffel Tower in Paris", ["The Eiffel Tower"])
    0.6666666666666666
    """
    return max(_overlap(normalized(answer), gold) for gold in _golds(golds))


def _overlap(answer: str, gold: str) -> float:
    said, right = answer.split(), gold.split()
    if not said or not right:
        return float(said == right)
    common = (Counter(said) & Counter(right)).total()
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(right)
    return 2 * precision * recall / (precision + recall)


def best_threshold(
    differences: Sequence[float], answered: Sequence[float], silent: Sequence[float]
) -> tuple[float, float]:
    """Returns the threshold of the highest mean score, and that score.

    Args:
        differences: Score of no answer minus that of the best answer.
        answered: The score of each question if it is answered, that is, if its
            difference is at most the threshold.
        silent: The score of each question if it is not answered.

    >>> best_threshold([-2.0, 1.0, 3.0], [1, 1, 0], [0, 0, 1])
    (2.0, 1.0)
    """
    order = np.argsort(differences, kind="stable")
    sorted_differences = np.asarray(differences, "float64")[order]
    gains = (
        np.asarray(answered, "float64")[order] - np.asarray(silent, "float64")[order]
    )
    scores = np.sum(silent) + np.concatenate([[0.0], np.cumsum(gains)])
    # No threshold can separate equal differences.
    cuts = np.flatnonzero(np.diff(sorted_differences) > 0) + 1
    cuts = np.concatenate([[0], cuts, [len(order)]])
    best = int(cuts[scores[cuts].argmax()])
    edges = [sorted_differences[0] - 1, *sorted_differences, sorted_differences[-1] + 1]
    threshold = (edges[best] + edges[best + 1]) / 2
    return float(threshold), float(scores[best] / len(order))
