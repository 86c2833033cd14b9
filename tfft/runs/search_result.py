"""The result of a search, and its files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError
from tfft.core.files import write_atomically, write_text
from tfft.evaluation.tables import ReportTable
from tfft.runs.load import load
from tfft.runs.run import Run
from tfft.tuning.trials import Trial, ranked, table_of

BEST, CONFIG, TABLE, PICTURE = "best", "best.yaml", "trials.csv", "search.png"


@dataclass(frozen=True)
class Search:
    """The result of a finished search.

    Attributes:
        folder: The folder of the search.
        trials: All trials, in the order they ran.
        searched: The names of the searched options.
        objective: The metric on the validation rows that the search optimized.
        higher_is_better: Whether a higher value of the metric is better.
    """

    folder: Path
    trials: Sequence[Trial]
    searched: Sequence[str]
    objective: str
    higher_is_better: bool

    @property
    def best(self) -> Trial:
        """The trial with the best score.

        Raises:
            DataError: When no trial has a score.
        """
        order = ranked(self.trials, self.higher_is_better)
        if not order:
            reasons = {one.message for one in self.trials if one.message}
            raise DataError(
                f"none of {len(self.trials)} trials has a score",
                where=str(self.folder),
                expected="at least one trial that succeeds",
                fix="; ".join(sorted(reasons)[:3]) or "continue the search with resume",
            )
        return order[0]

    @property
    def best_config(self) -> Path:
        """The best options as a YAML file for `tfft finetune --config`."""
        return self.folder / CONFIG

    def best_run(self) -> Run:
        """Returns the run of the best trial."""
        return load(self.folder / BEST)

    def table(self) -> ReportTable:
        """Returns a table of the trials, the best first."""
        return table_of(
            self.trials, self.searched, self.objective, self.higher_is_better
        )

    def __str__(self) -> str:
        """Returns the table as Markdown."""
        return self.table().to_markdown()


def write_result(
    search: Search, config: Mapping[str, Any], drawn: bytes | None
) -> None:
    """Writes the table of trials, the best options and the picture.

    Args:
        search: A search in which at least one trial has a score.
        config: The `finetune` options of the best trial.
        drawn: The picture as PNG bytes, or None.
    """
    table, file = search.table(), io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([table.header, *table.rows])
    write_text(search.folder / TABLE, file.getvalue())
    write_text(search.folder / CONFIG, to_yaml(config))
    if drawn:
        write_atomically(search.folder / PICTURE, lambda path: path.write_bytes(drawn))


def to_yaml(options: Mapping[str, Any]) -> str:
    """Returns options as YAML. Python objects become comments.

    >>> print(to_yaml({"epochs": 3, "method": {"name": "lora", "target": ("q",)}}))
    epochs: 3
    method:
      name: lora
      target:
      - q
    <BLANKLINE>
    """
    import yaml

    plain = {name: _plain(value) for name, value in options.items()}
    known = {name: value for name, value in plain.items() if value is not _OBJECT}
    text = yaml.safe_dump(known, sort_keys=False, allow_unicode=True)
    objects = [name for name, value in plain.items() if value is _OBJECT]
    return "".join(f"# {name}: an object, given in Python\n" for name in objects) + text


_OBJECT = object()


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        found: Any = {str(key): _plain(item) for key, item in value.items()}
        return _OBJECT if _OBJECT in found.values() else found
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return _OBJECT if any(item is _OBJECT for item in items) else items
    return _OBJECT
