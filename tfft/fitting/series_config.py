"""The options of the verbs that train several times."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfft.core.config import configuration, require


@configuration()
class CrossValidateConfig:
    """The options of `cross_validate` in addition to those of `finetune`.

    Args:
        folds: Number of folds. Defaults to 5.
        group: Column whose rows with equal values stay in one fold, such as a patient
            or an email thread. Copies of a text always do. Defaults to none.
        against: Folder of a finished cross-validation over the same folds, to compare
            with. Defaults to none.
    """

    folds: int = 5
    group: str | None = None
    against: Any = None

    def __post_init__(self) -> None:
        """Raises for invalid values."""
        require(self.folds >= 2, self, "folds", "2 or more")


@configuration()
class LearningCurveConfig:
    """The options of `learning_curve` in addition to those of `finetune`.

    Args:
        sizes: Shares of the training rows, or numbers of rows. Larger subsets contain
            the smaller ones. Defaults to an eighth, a quarter, a half and all.
        metric: The metric to plot and to judge by. Defaults to the one that selects the
            best epoch.
    """

    sizes: Sequence[float] = (0.125, 0.25, 0.5, 1.0)
    metric: str | None = None

    def __post_init__(self) -> None:
        """Raises for invalid values."""
        rising = all(
            0 < a < b for a, b in zip(self.sizes, self.sizes[1:], strict=False)
        )
        shares = all(size <= 1 for size in self.sizes)
        counts = all(size > 1 and size == int(size) for size in self.sizes)
        expected = "two or more, rising: shares up to 1, or numbers of rows above 1"
        fits = len(self.sizes) > 1 and rising and (shares or counts)
        require(fits, self, "sizes", expected)


@configuration()
class RepeatConfig:
    """The options of `repeat` in addition to those of `finetune`.

    Args:
        seeds: Number of seeds, counting from `seed`, or a list of seeds. The rows are
            split once, with `seed`. Defaults to 5.
    """

    seeds: int | Sequence[int] = 5

    def __post_init__(self) -> None:
        """Raises for invalid values."""
        several = self.seeds if isinstance(self.seeds, tuple) else range(self.seeds)
        fits = len(set(several)) == len(several) >= 2
        require(fits, self, "seeds", "2 or more, all different")

    def listed(self, first: int) -> tuple[int, ...]:
        """Returns the seeds.

        Args:
            first: The first seed, if `seeds` is a number.

        >>> RepeatConfig(seeds="3").listed(42), RepeatConfig(seeds="7,1").listed(42)
        ((42, 43, 44), (7, 1))
        """
        if isinstance(self.seeds, tuple):
            return self.seeds
        return tuple(range(first, first + self.seeds))


def split_options(
    config: type, options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Returns a configuration from its options, and the options it does not know.

    >>> split_options(CrossValidateConfig, {"folds": "3", "epochs": 1})[1]
    {'epochs': 1}
    """
    names = {field.name for field in dataclasses.fields(config)}
    own = {name: value for name, value in options.items() if name in names}
    rest = {name: value for name, value in options.items() if name not in names}
    return config(**own), rest
