"""Reads, checks, cleans and splits the data of a task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError
from tfft.data import sources
from tfft.data.fingerprint import fingerprint
from tfft.data.rows import OnBadRows, without_bad_rows
from tfft.data.splits import SPLITS, check_fraction, shared, stratified_part
from tfft.data.table import Table
from tfft.evaluation.few_rows import FEW
from tfft.tasks.task import Labels, Task


@dataclass(frozen=True)
class Prepared:
    """Usable rows by split.

    Attributes:
        tables: `train`, and `validation` and `test` unless they are empty.
        labels: The labels of train.
        notes: Left-out rows and suspicious data, one sentence each.
        fingerprint: SHA-256 of the rows of each split.
    """

    tables: dict[str, Table]
    labels: Labels
    notes: tuple[str, ...]
    fingerprint: dict[str, str]


def prepare(
    task: Task,
    data: Any,
    *,
    validation: Any,
    test: Any,
    on_bad_rows: OnBadRows,
    seed: int,
) -> Prepared:
    """Returns the rows of train, validation and test.

    Args:
        task: Decides which rows are usable.
        data: Anything that holds rows.
        validation: A share of the training rows, or data.
        test: A share of the rows, or data.
        on_bad_rows: What to do with unusable rows.
        seed: For automatic splits.

    Raises:
        DataError: For rows that nothing can be learned from.
        ConfigError: When a split is given twice.
    """
    tables = sources.read(data)
    fractions: dict[str, float] = {}
    # Test first: the test rows must not depend on the share for validation.
    for split, given in (("test", test), ("validation", validation)):
        _add_split(tables, fractions, split, given)
    notes: list[str] = []
    for split, table in tables.items():
        bad = task.bad_rows(table)
        tables[split], sentences = without_bad_rows(table, bad, on_bad_rows)
        tables[split], mended = task.mended(tables[split])
        notes.extend(f"{split}: {sentence}" for sentence in (*sentences, *mended))
    # This also reports bad labels before a split fails on them.
    labeled = bool(task.learn_labels(tables["train"]))
    for split, fraction in fractions.items():
        notes.extend(_cut(task, tables, split, fraction, seed, labeled))
    tables = {split: tables[split] for split in SPLITS if split in tables}
    labels = task.learn_labels(tables["train"])
    for split, table in tables.items():
        task.check_labels(table, labels, split)
    notes.extend(_leaks(task, tables))
    marks = {split: fingerprint(table) for split, table in tables.items()}
    return Prepared(tables, labels, tuple(notes), marks)


def _add_split(
    tables: dict[str, Table], fractions: dict[str, float], split: str, given: Any
) -> None:
    """Reads a split given as data, or remembers the share to take from train."""
    fraction = as_fraction(given)
    if fraction is None:
        if split in tables:
            raise ConfigError(
                f"{split} is given twice, in data and as {split}=",
                fix=f"leave {split}= out",
            )
        tables[split] = sources.read(given, option=split)["train"]
    elif split not in tables:
        check_fraction(fraction, split)
        fractions[split] = fraction


def as_fraction(given: Any) -> float | None:
    """Returns a share given as a number or its text, None for any other value."""
    if isinstance(given, bool):
        return None
    if isinstance(given, int | float):
        return float(given)
    if isinstance(given, str) and not Path(given).exists():
        try:
            return float(given)
        except ValueError:
            return None
    return None


def _cut(
    task: Task,
    tables: dict[str, Table],
    split: str,
    fraction: float,
    seed: int,
    labeled: bool,
) -> list[str]:
    """Splits a share off train; returns a note when it is too small to be reliable."""
    if not fraction:
        return []
    train = tables["train"]
    strata, keys = task.strata(train), task.keys(train)
    first, second = stratified_part(strata, keys, fraction, seed + len(split))
    if not second:  # every class has too few rows to give one away
        same = [""] * len(train)
        first, second = stratified_part(same, keys, fraction, seed + len(split))
    if labeled:
        first, second = _with_known_labels(task.described(train), keys, first, second)
    share = f"{split}={fraction:g} of {len(train):,} rows"
    if not second:
        return [f"{share} is less than one row: there is no {split} split"]
    tables["train"], tables[split] = train.select(first), train.select(second)
    if len(second) < FEW:
        return [f"{share} is {len(second)} rows: scores on so few tell little"]
    return []


def _with_known_labels(
    described: Sequence[tuple[str, ...]],
    keys: Sequence[Hashable],
    first: list[int],
    second: list[int],
) -> tuple[list[int], list[int]]:
    """Moves rows back to train if it would otherwise lack one of their labels.

    Stratification looks at the rarest label of a row, so another of its labels can be
    missing; so can a label of copies of a text, which stay together.
    """
    known = {label for row in first for label in described[row]}
    moved: set[Hashable] = set()
    for row in second:
        if keys[row] not in moved and not known.issuperset(described[row]):
            moved.add(keys[row])
            together = (one for one in second if keys[one] == keys[row])
            known.update(label for one in together for label in described[one])
    back = [row for row in second if keys[row] in moved]
    return sorted(first + back), [row for row in second if keys[row] not in moved]


def _leaks(task: Task, tables: dict[str, Table]) -> list[str]:
    """Returns a note for each split that shares texts with train."""
    train: Sequence[Hashable] = task.keys(tables["train"])
    notes = []
    for split, table in tables.items():
        count = shared(train, task.keys(table)) if split != "train" else 0
        if count:
            notes.append(
                f"{split}: {count:,} of {len(table):,} texts are also in train"
            )
    return notes
