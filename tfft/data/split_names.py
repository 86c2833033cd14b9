"""Common names of the three splits."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tfft.core.errors import DataError, TfftError, one_of
from tfft.data.splits import SPLITS

_ALIASES = {"valid": "validation", "val": "validation", "dev": "validation"}
SPLIT_NAMES = (*SPLITS, *_ALIASES)


def split_of(name: object) -> str | None:
    """Returns the split that a name means, or None.

    >>> split_of("dev"), split_of("Train"), split_of("test.score")
    ('validation', 'train', None)
    """
    lower = str(name).lower()
    split = _ALIASES.get(lower, lower)
    return split if split in SPLITS else None


def split_of_file(name: str) -> str | None:
    """Returns the split that a file name means, or None.

    >>> split_of_file("dev.csv"), split_of_file("extra.csv")
    ('validation', None)
    """
    return split_of(name.partition(".")[0])


def pick_splits(
    names: Collection[str],
    where: str,
    error: type[TfftError] = DataError,
    means: Callable[[str], str | None] = split_of,
) -> dict[str, str]:
    """Returns the given name of each split, and skips names of no split.

    Args:
        names: The names of the source.
        where: The source.
        error: The class of error to raise.
        means: Returns the split that a name means.

    Raises:
        TfftError: Of the given class, if a split is named twice or train is missing.

    >>> pick_splits(["test", "train", "unsupervised"], "tfds:imdb_reviews")
    {'train': 'train', 'test': 'test'}
    """
    chosen: dict[str, str] = {}
    for name in names:
        split = means(name)
        if split in chosen:
            raise error(
                f'"{chosen[split]}" and "{name}" are both the {split} split',
                where=where,
                expected="one file or name for each split",
                fix="remove or rename one of them",
            )
        if split:
            chosen[split] = name
    if "train" not in chosen:
        raise error(
            f"no split is called train; found: {', '.join(map(str, names)) or 'none'}",
            where=where,
            expected=one_of(SPLIT_NAMES),
            fix="rename the training rows to train",
        )
    return {split: chosen[split] for split in SPLITS if split in chosen}
