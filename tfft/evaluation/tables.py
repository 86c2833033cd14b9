"""Tables of text, for Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReportTable:
    """A table of text.

    Attributes:
        title: The title.
        header: The column names.
        rows: The cells; the first one of each row is a name.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Returns the table in Markdown; the text of cells is escaped."""
        lines = [f"**{escaped(self.title)}**", "", _line(self.header)]
        lines.append(
            "|" + "|".join([" --- "] + [" ---: "] * (len(self.header) - 1)) + "|"
        )
        return "\n".join(lines + [_line(row) for row in self.rows])

    def to_rich(self) -> Any:
        """Returns the table for a rich console; cells are not read as markup."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for index, name in enumerate(self.header):
            justify = "right" if index else "left"
            table.add_column(Text(printable(name)), justify=justify)
        for row in self.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        # rich would wrap a title of the table itself at the width of the table.
        return Group(Text(printable(self.title), style="bold"), table)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(cell: str) -> str:
    """Returns the text on one line, with Markdown and HTML syntax escaped."""
    for character in "\\|<>&*_~`[]":
        cell = cell.replace(character, "\\" + character)
    return printable(cell)


def printable(text: str) -> str:
    """Returns the text with control characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
