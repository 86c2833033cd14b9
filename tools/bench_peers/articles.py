"""Splits the articles of SQuAD into those to train on and those to score."""

from __future__ import annotations

import random
from collections.abc import Iterable

_SHARE = 0.2


def split_articles(
    titles: Iterable[str], *, choosing: bool = False, seed: int = 0
) -> tuple[set[str], set[str]]:
    """Returns the articles to train on, and a fifth of all articles, to score.

    Args:
        titles: Titles of the articles, in any order.
        choosing: True to choose settings: the usual fifth is left out, and another one
            is scored.
        seed: Seed of the order.

    >>> learned, scores = split_articles("abcdefghij")
    >>> sorted(scores)
    ['h', 'i']
    >>> chosen_on = split_articles("abcdefghij", choosing=True)[1]
    >>> sorted(chosen_on), chosen_on <= learned
    (['b', 'f'], True)
    """
    order = sorted(set(titles))
    random.Random(seed).shuffle(order)
    count = round(_SHARE * len(order))
    parts = [order[:count], order[count : 2 * count], order[2 * count :]]
    if choosing:
        return set(parts[2]), set(parts[1])
    return {*parts[1], *parts[2]}, set(parts[0])
