"""The result of a cross-validation, and its comparison with another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.evaluation.spread import PairedTest, Spread, corrected_t_test, spread_of
from tfft.evaluation.tables import ReportTable

RESULT = "cross_validation.json"


@dataclass(frozen=True)
class CrossValidation:
    """The scores of the folds.

    Attributes:
        folder: The folder with the runs and the out-of-fold predictions.
        result: The content of `cross_validation.json`.
    """

    folder: Path
    result: Mapping[str, Any]

    @property
    def folds(self) -> list[dict[str, float]]:
        """The metrics of each fold on its test rows."""
        return self.result["metrics"]

    @property
    def pooled(self) -> dict[str, float]:
        """The metrics of all out-of-fold predictions together."""
        return self.result["pooled"]

    @property
    def spread(self) -> dict[str, Spread]:
        """Mean, standard deviation and range of each metric over the folds."""
        return spread_of(self.folds)

    def table(self) -> ReportTable:
        """Returns the table of scores: each fold, their mean, and all rows together."""
        names = tuple(self.spread)
        rows = [
            (f"fold {index + 1}", *(f"{one[name]:.4f}" for name in names), f"{count:,}")
            for index, (one, count) in enumerate(
                zip(self.folds, self.result["rows"], strict=True)
            )
        ]
        total = f"{sum(self.result['rows']):,}"
        spread = self.spread
        rows.append(("mean ± std", *(str(spread[name]) for name in names), total))
        pooled = [self.pooled.get(name) for name in names]
        shown = ("" if value is None else f"{value:.4f}" for value in pooled)
        rows.append(("all rows together", *shown, total))
        title = f"Cross-validation of {len(self.folds)} folds"
        return ReportTable(title, ("", *names, "rows"), tuple(rows))

    def tests(self, other: CrossValidation) -> dict[str, PairedTest]:
        """Returns a paired test of each metric against another cross-validation.

        Args:
            other: A cross-validation with other options over the same folds.

        Raises:
            ConfigError: When the folds are not the same.
        """
        other.check_same_folds(self.result["data"])
        share = 1 / (len(self.folds) - 1)
        return {
            name: corrected_t_test(
                [one[name] for one in other.folds],
                [one[name] for one in self.folds],
                share,
            )
            for name in self.spread
            if name in other.spread
        }

    def compare(self, other: CrossValidation) -> ReportTable:
        """Returns the table of `tests`: both means, the difference and its p-value.

        Args:
            other: A cross-validation with other options over the same folds.

        Raises:
            ConfigError: When the folds are not the same.
        """
        mine, theirs = self.spread, other.spread
        rows = tuple(
            (
                name,
                str(theirs[name]),
                str(mine[name]),
                f"{test.difference:+.4f}",
                f"{test.p_value:.4f}",
            )
            for name, test in self.tests(other).items()
        )
        title = "Paired test over the folds (corrected for their overlap)"
        header = ("", other.folder.name, self.folder.name, "difference", "p")
        return ReportTable(title, header, rows)

    def check_same_folds(self, data: Mapping[str, Any]) -> None:
        """Raises unless another cross-validation has the same folds.

        Args:
            data: The entry `data` in the result of the other.

        Raises:
            ConfigError: With the settings that differ.
        """
        mine = self.result["data"]
        differing = [name for name in mine if mine[name] != data.get(name)]
        if differing:
            raise ConfigError(
                f"the folds are not the same: {', '.join(differing)} differ",
                where=str(self.folder / RESULT),
                expected="the same rows, folds, group and seed",
                fix="cross-validate both on the same folds",
            )


def read_result(folder: Any) -> CrossValidation:
    """Reads a cross-validation from its folder.

    Args:
        folder: The `output_dir` of a cross-validation, or a `CrossValidation`, which
            is returned as it is.

    Raises:
        MissingInputError: When the folder has no result.
        DataError: When the result cannot be read.
    """
    if isinstance(folder, CrossValidation):
        return folder
    path = Path(folder) / RESULT
    if not path.is_file():
        raise MissingInputError(
            "no cross-validation in this folder",
            where=str(path),
            fix="give the output_dir of a finished cross-validation",
        )
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"not usable: {error}", where=str(path)) from error
    return CrossValidation(Path(folder), result)
