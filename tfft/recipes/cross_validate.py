"""Cross-validation: one training per fold; every row is tested on once."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.core.config import accepts
from tfft.core.errors import ConfigError, DataError
from tfft.core.files import write_json, write_text
from tfft.data.fingerprint import fingerprint
from tfft.data.folds import k_folds, merged_groups
from tfft.data.splits import stratified_part
from tfft.data.table import Table
from tfft.evaluation.cross_validation import RESULT, CrossValidation, read_result
from tfft.evaluation.evidence import Evidence
from tfft.fitting.prepare import as_fraction
from tfft.fitting.series import Scored, Series
from tfft.fitting.series_config import CrossValidateConfig, split_options
from tfft.fitting.verb_options import CrossValidateOptions
from tfft.runs.run import Run
from tfft.tasks.task import Task

OUT_OF_FOLD = "out_of_fold.jsonl"


@accepts(CrossValidateOptions)
def cross_validate(**options: Any) -> CrossValidation:
    """Trains once for each fold of the training rows and scores that fold.

    The rows of `train` are divided into folds. Every training is validated on the
    validation split, or without one on a share of the other folds. Test rows are not
    used; keep them for one final check of the chosen settings.

    Args:
        **options: The fields of `CrossValidateConfig` and `FinetuneConfig`; `test`
            defaults to 0.

    Returns:
        The scores of the folds, with mean and spread. The folder holds the runs
        `fold-1`, `fold-2` …, and `out_of_fold.jsonl`: the prediction for each row by
        the one model that had not seen it.

    Raises:
        ConfigError: For invalid options, and when `against` has other folds.
        DataError: For unusable rows, and for a class that occurs in only one fold.
        TfftError: Everything else that `finetune` raises.
    """
    config, rest = split_options(CrossValidateConfig, options)
    series = Series({"test": 0, **rest}, RESULT, "fold")
    before = read_result(config.against) if config.against is not None else None
    share = as_fraction(series.config.validation)
    # Validation rows of their own, or a share of what each fold leaves.
    with series.opened(**({} if share is None else {"validation": 0})):
        found = _Folds(series, config, share or 0.0).run(before)
    series.show(found.table())
    if before is not None:
        series.show(found.compare(before))
    series.say(f"cross-validation: {series.folder}")
    return found


@dataclass(frozen=True)
class _Split:
    """The rows of one training.

    Attributes:
        train: Indices.
        test: Indices of the fold.
        validation: Indices, or rows of a split of their own; None without validation.
    """

    train: list[int]
    test: list[int]
    validation: list[int] | Table | None


class _Folds:
    """The trainings of a cross-validation."""

    def __init__(
        self, series: Series, config: CrossValidateConfig, share: float
    ) -> None:
        self.series, self.share = series, share
        tables = series.session.tables
        self.table, self.validation = tables["train"], tables.get("validation")
        if "test" in tables:
            series.say(f"note: {len(tables['test']):,} test rows are not used")
        task, seed = series.task, series.config.seed
        self.groups = _groups(task, self.table, config.group)
        self.strata = task.strata(self.table)
        self.folds = k_folds(self.strata, self.groups, config.folds, seed)
        sizes = ", ".join(str(len(fold)) for fold in self.folds)
        series.say(f"folds: {config.folds} of {sizes} rows")
        self.facts = {
            "fingerprint": fingerprint(self.table),
            "folds": config.folds,
            "group": config.group,
            "seed": seed,
        }

    def run(self, before: CrossValidation | None) -> CrossValidation:
        """Trains for each fold and writes the results.

        Args:
            before: Earlier results, to compare with.
        """
        splits = [self._split(index) for index in range(len(self.folds))]
        if before is not None:
            before.check_same_folds(self.facts)
        self.series.make_room()
        metrics, evidence, lines = [], [], []
        for number, split in enumerate(splits, start=1):
            test = self.table.select(split.test)
            run = self.series.train(number, test, split.train, split.validation)
            found = self.series.scored(run, test)
            metrics.append(run.metrics["test"])
            evidence.append(found.evidence)
            lines.extend(_lines(run, found, self.table, split.test, number))
        lines.sort(key=lambda line: line["row"])
        write_text(
            self.series.folder / OUT_OF_FOLD,
            "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines),
        )
        result = {
            "rows": [len(fold) for fold in self.folds],
            "metrics": metrics,
            "pooled": _pooled(evidence),
            "data": self.facts,
            "config": self.series.options(),
        }
        write_json(self.series.result, result)
        return CrossValidation(self.series.folder, result)

    def _split(self, index: int) -> _Split:
        """Returns the rows of a training; raises their errors before any training."""
        task, test = self.series.task, self.folds[index]
        held_out = set(test)
        train = [row for row in range(len(self.table)) if row not in held_out]
        validation: list[int] | Table | None = self.validation
        if validation is None and self.share:
            first, second = stratified_part(
                [self.strata[row] for row in train],
                [self.groups[row] for row in train],
                self.share,
                self.series.config.seed,
            )
            validation = [train[row] for row in second] or None
            train = [train[row] for row in first]
        labels = task.learn_labels(self.table.select(train))
        task.check_labels(self.table.select(test), labels, f"fold {index + 1}")
        return _Split(train, test, validation)


def _groups(task: Task, table: Table, column: str | None) -> Sequence[Hashable]:
    """Returns the group of each row; copies of a text and equal values share one.

    Raises:
        DataError: For a row without a value.
    """
    keys = task.keys(table)
    if column is None:
        return merged_groups(keys)
    values = table.column(column, "group")
    for row, value in enumerate(values):
        if value is None or value != value:
            raise DataError(
                "a row without a group",
                where=f'{table.where(row)}, column "{column}"',
                expected="a value in every row",
                fix="give the row a group of its own",
            )
        if not isinstance(value, Hashable):
            raise ConfigError(
                f'group "{column}" holds {type(value).__name__}s',
                where=table.where(row),
                expected="text or numbers",
            )
    return merged_groups(keys, values)


def _pooled(evidence: Sequence[Evidence]) -> dict[str, float]:
    """Returns the scores of all rows pooled."""
    sums = np.sum([one.statistics.sum(axis=0) for one in evidence], axis=0)
    return {name: float(value) for name, value in evidence[0].score(sums).items()}


def _lines(
    run: Run, scored: Scored, table: Table, fold: Sequence[int], number: int
) -> list[dict[str, Any]]:
    """Returns a line of the file of out-of-fold predictions for each row of a fold."""
    evidence, task = scored.evidence, run.task
    answers: Sequence[dict[str, Any]] = [{}] * len(scored.rows)
    if not task.generates:
        answers = task.answers(scored.predictions, scored.table, run.labels)
    texts = task.texts(scored.table)
    return [
        {
            "row": fold[row],
            "where": table.where(fold[row]),
            "fold": number,
            "texts": list(texts[index]),
            "right": evidence.right[index],
            "answer": evidence.answers[index],
            "badness": float(evidence.badness[index]),
            "prediction": answers[index],
        }
        for index, row in enumerate(scored.rows)
    ]
