"""What a search came to, and its folder."""

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
    """A search that has ended.

    Attributes:
        folder: The folder of the search.
        trials: All trials, in their order.
        searched: The options that were searched.
        objective: The metric of the validation rows that was searched for.
        higher_is_better: Its direction.
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
            DataError: When no trial has one.
        """
        order = ranked(self.trials, self.higher_is_better)
        if not order:
            reasons = {one.message for one in self.trials if one.message}
            raise DataError(
                f"none of {len(self.trials)} trials has a score",
                where=str(self.folder),
                expected="one that ends well",
                fix="; ".join(sorted(reasons)[:3]) or "search on with resume",
            )
        return order[0]

    @property
    def best_config(self) -> Path:
        """The YAML file that `tfft finetune --config` takes."""
        return self.folder / CONFIG

    def best_run(self) -> Run:
        """Returns the run of the best trial."""
        return load(self.folder / BEST)

    def table(self) -> ReportTable:
        """Returns the trials, the best first."""
        return table_of(
            self.trials, self.searched, self.objective, self.higher_is_better
        )

    def __str__(self) -> str:
        """Returns the table as Markdown."""
        return self.table().to_markdown()


def write_result(
    search: Search, config: Mapping[str, Any], drawn: bytes | None
) -> None:
    """Writes table, best options and picture.

    Args:
        search: With a best trial.
        config: The options of `finetune` that the best trial had.
        drawn: The picture, if there is one.
    """
    table, file = search.table(), io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([table.header, *table.rows])
    write_text(search.folder / TABLE, file.getvalue())
    write_text(search.folder / CONFIG, to_yaml(config))
    if drawn:
        write_atomically(search.folder / PICTURE, lambda path: path.write_bytes(drawn))


def to_yaml(options: Mapping[str, Any]) -> str:
    """Returns options as YAML; those that are objects of Python as a comment.

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
