"""What every report is, and how its tables look in Markdown and on a terminal."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfft.core.registry import Registry

REPORTS = Registry("report", "tfft.evaluation")


@dataclass(frozen=True)
class ReportTable:
    """A table of text.

    Attributes:
        title: What it shows.
        header: The column names.
        rows: The cells, the first of each row a name.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Returns the table as Markdown, whatever its cells hold."""
        lines = [f"**{_escaped(self.title)}**", "", _line(self.header)]
        lines.append(
            "|" + "|".join([" --- "] + [" ---: "] * (len(self.header) - 1)) + "|"
        )
        return "\n".join(lines + [_line(row) for row in self.rows])

    def to_rich(self) -> Any:
        """Returns the table for a rich console, cells taken literally."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for index, name in enumerate(self.header):
            justify = "right" if index else "left"
            table.add_column(Text(_printable(name)), justify=justify)
        for row in self.rows:
            table.add_row(*(Text(_printable(cell)) for cell in row))
        # A title of the table itself would be broken to the table's width.
        return Group(Text(_printable(self.title), style="bold"), table)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(cell: str) -> str:
    for character in "\\|<>&*_~`[]":
        cell = cell.replace(character, "\\" + character)
    return _printable(cell)


def _printable(text: str) -> str:
    """Returns text whose control characters cannot reach the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class Report(abc.ABC):
    """The scores of some rows; subclasses register under the name tasks ask for."""

    name: ClassVar[str]
    #: The metric that decides which epoch was best, and whether more is better.
    monitor: ClassVar[tuple[str, bool]]
    #: What was left out of the rows, a sentence each.
    notes: tuple[str, ...]

    @classmethod
    @abc.abstractmethod
    def make(
        cls, probabilities: np.ndarray, gold: np.ndarray, labels: Sequence[Any]
    ) -> Report:
        """Returns the report of probabilities against the right ids."""

    @property
    @abc.abstractmethod
    def metrics(self) -> dict[str, float]:
        """The figures in one line."""

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values for JSON."""

    @abc.abstractmethod
    def tables(self) -> list[ReportTable]:
        """Returns the tables people look at."""

    def to_markdown(self) -> str:
        """Returns all tables as Markdown."""
        return "\n\n".join(table.to_markdown() for table in self.tables()) + "\n"

    def __str__(self) -> str:
        """Returns the Markdown."""
        return self.to_markdown()
