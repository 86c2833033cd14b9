"""Tables of text, in Markdown and on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
        lines = [f"**{escaped(self.title)}**", "", _line(self.header)]
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
            table.add_column(Text(printable(name)), justify=justify)
        for row in self.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        # A title of the table itself would be broken to the table's width.
        return Group(Text(printable(self.title), style="bold"), table)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(cell: str) -> str:
    """Returns text on one line in which Markdown and HTML find nothing to obey."""
    for character in "\\|<>&*_~`[]":
        cell = cell.replace(character, "\\" + character)
    return printable(cell)


def printable(text: str) -> str:
    """Returns text whose control characters cannot reach the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
