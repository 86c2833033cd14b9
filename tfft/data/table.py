"""The form of all rows once they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.core.errors import DataError, shorten
from tfft.data.column_names import check_column_names, missing_column, other_keys


@dataclass(frozen=True)
class Table:
    """Rows from one source: columns of equal length, and the position of each row.

    Attributes:
        columns: Values by column name; a missing value is None.
        source: The source's name in messages, such as `news.csv` or `DataFrame`.
        lines: 1-based line of each row in a text file. None: rows are numbered.
        rows: 1-based number of each row in the source, if rows were left out.

    Raises:
        DataError: For columns of different length, and for unusable column names.

    >>> table = Table({"text": ["a", "b"]}, "news.csv", lines=(2, 5))
    >>> len(table), table.where(1)
    (2, 'news.csv:5')
    """

    columns: dict[str, list[Any]]
    source: str
    lines: tuple[int, ...] | None = None
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_column_names(list(self.columns), self.source)
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"columns have different lengths: {shorten(lengths)}",
                where=self.source,
                expected="the same number of values in every column",
                fix="give every row a value, or None if it is missing",
            )

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        source: str,
        lines: Sequence[int] | None = None,
    ) -> Table:
        """Makes a table of rows that all have the keys of the first row.

        Args:
            rows: A mapping of column name to value for each row.
            source: The source's name in messages.
            lines: 1-based line of each row in a text file.

        Raises:
            DataError: For a row that is not a mapping or has other keys.

        >>> Table.from_rows([{"text": "a"}, {"text": "b"}], "list").columns
        {'text': ['a', 'b']}
        """
        columns: dict[str, list[Any]] = {}
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise _not_a_mapping(row, _where(source, lines, None, number))
            if number == 0:
                columns = {name: [] for name in row}
            elif row.keys() != columns.keys():
                where = _where(source, lines, None, number)
                raise other_keys(row, columns, where)
            for name, values in columns.items():
                values.append(row[name])
        return cls(columns, source, None if lines is None else tuple(lines))

    def where(self, row: int) -> str:
        """Returns the position of a row for messages; the index starts at 0."""
        return _where(self.source, self.lines, self.rows, row)

    def column(self, name: str, option: str = "") -> list[Any]:
        """Returns the values of a column.

        Args:
            name: Name of the column.
            option: The option by which a user chooses the column, for the message.

        Raises:
            DataError: For a column that does not exist.
        """
        if name in self.columns:
            return self.columns[name]
        where = self.source if self.lines is None else f"{self.source}:1"
        raise missing_column(name, self.columns, where, option)

    def select(self, indices: Iterable[int]) -> Table:
        """Returns the rows at the indices in that order, with lines and numbers."""
        chosen = list(indices)
        columns = {
            name: [values[index] for index in chosen]
            for name, values in self.columns.items()
        }
        if self.lines is not None:
            lines = tuple(self.lines[index] for index in chosen)
            return Table(columns, self.source, lines)
        numbers = self.rows or range(1, len(self) + 1)
        rows = tuple(numbers[index] for index in chosen)
        return Table(columns, self.source, rows=rows)


def _where(
    source: str, lines: Sequence[int] | None, rows: Sequence[int] | None, row: int
) -> str:
    if lines is not None:
        return f"{source}:{lines[row]}"
    return f"{source} row {rows[row] if rows is not None else row + 1}"


def _not_a_mapping(row: object, where: str) -> DataError:
    return DataError(
        f"row is of type {type(row).__name__}: {shorten(row)}",
        where=where,
        expected="a dict of column names to values",
        fix='write each row as {"text": ..., "label": ...}',
    )
