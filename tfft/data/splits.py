"""Splits rows into train, validation and test."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tfft.core.errors import ConfigError
from tfft.core.seeds import stream

SPLITS = ("train", "validation", "test")


def stratified_part(
    labels: Sequence[Hashable], keys: Sequence[Hashable], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Splits rows in two, each class by the same fraction.

    Rows with the same key, such as copies of a text, stay in one part: a test row that
    was also in training would only show that the model can memorize. Unlike
    scikit-learn's splitters, this also works for classes of one or two rows, which stay
    in the first part.

    Args:
        labels: The class of each row.
        keys: The key of each row; rows with equal keys stay together.
        fraction: Size of the second part, at least 0 and below 1.
        seed: Seed that decides which rows go where.

    Returns:
        The indices of the first and of the second part, in their original order.

    >>> stratified_part("aaaabbbb", range(8), 0.25, seed=1)[1]
    [3, 7]
    """
    groups: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    by_class: dict[Hashable, list[list[int]]] = {}
    for rows in groups.values():
        by_class.setdefault(labels[rows[0]], []).append(rows)
    second: list[int] = []
    for label, members in by_class.items():
        order = stream(seed, "split", str(label)).permutation(len(members))
        wanted = round(fraction * sum(map(len, members)))
        taken: list[int] = []
        for index in order[: len(members) - 1]:
            if len(taken) + len(members[index]) <= wanted:
                taken.extend(members[index])
        second.extend(taken)
    chosen = set(second)
    first = [row for row in range(len(labels)) if row not in chosen]
    return first, sorted(second)


def check_fraction(fraction: float, option: str) -> None:
    """Checks a fraction of rows to hold out.

    Raises:
        ConfigError: For a value outside 0 to 0.9 (0.9 itself is not allowed).
    """
    if not 0 <= fraction < 0.9:
        raise ConfigError(
            f"{option}={fraction}",
            expected="a fraction of the rows from 0 up to 0.9, or a data file",
            fix=f"{option}=0.1 holds out a tenth",
        )


def shared(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Returns the number of rows in the second part that also occur in the first."""
    known = set(first)
    return sum(key in known for key in second)
