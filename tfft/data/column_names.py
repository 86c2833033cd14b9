"""Checks column names and builds the errors about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tfft.core.errors import DataError, nearest, one_of, shorten

_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_SHOWN_COLUMNS = 20


def check_column_names(names: Sequence[object], where: str) -> None:
    """Raises an error for names that cannot identify columns.

    Raises:
        DataError: For a name that is not text, is empty or occurs twice.
    """
    for position, name in enumerate(names, start=1):
        problem = ""
        if not isinstance(name, str):
            problem = f"column name {shorten(name)} is not text"
        elif not name.strip():
            problem = f"column {position} has no name"
        elif name in names[: position - 1]:
            problem = f"column {shorten(name)} appears twice"
        if problem:
            raise DataError(problem, where=where, fix="give each column its own name")


def named_index(names: Sequence[str]) -> list[str]:
    """Fills in the empty names that `DataFrame.to_csv` writes for the index.

    >>> named_index(["", "text", "label"])
    ['Unnamed: 0', 'text', 'label']
    >>> named_index(["", "Unnamed: 0", "text"])
    ['Unnamed: 0.1', 'Unnamed: 0', 'text']
    """
    found = list(names)
    for position, name in enumerate(names):
        if name.strip():
            break
        new, copy = f"Unnamed: {position}", 0
        while new in found:
            copy += 1
            new = f"Unnamed: {position}.{copy}"
        found[position] = new
    else:
        return list(names)  # no column has a name, so this is not an index
    return found


def missing_column(
    name: str, names: Collection[str], where: str, option: str = ""
) -> DataError:
    """Returns the error for a column that a table lacks.

    Args:
        name: Name of the column.
        names: The columns that the table has.
        where: The file or object that names them.
        option: The option by which a user chooses the column.
    """
    choose = f"name the column with {option}" if option else "use one of the names"
    return DataError(
        f'column "{name}" is missing',
        where=where,
        expected=one_of(_shown(names)),
        fix=fix_delimiter(names) or nearest(name, names) or choose,
    )


def other_keys(row: Mapping, columns: Mapping, where: str) -> DataError:
    """Returns the error for a row with other keys than the first row."""
    missing = [f'"{name}" is missing' for name in _shown(_without(columns, row))]
    extra = [f'"{name}" is extra' for name in _shown(_without(row, columns))]
    return DataError(
        f"keys differ from those of the first row: {', '.join(missing + extra)}",
        where=where,
        expected=", ".join(_shown(columns)),
        fix="give every row the same keys; use null or None for a missing value",
    )


def _without(names: Iterable[object], others: Mapping) -> list[object]:
    return [name for name in names if name not in others]


def _shown(names: Iterable[object]) -> list[str]:
    shown = [
        name
        if isinstance(name, str) and name.isprintable() and len(name) <= 40
        else shorten(name)
        for name in names
    ]
    rest = len(shown) - _SHOWN_COLUMNS
    return shown[:_SHOWN_COLUMNS] + ([f"and {rest} more"] if rest > 0 else [])


def fix_delimiter(names: Collection[str]) -> str:
    """Returns a fix if another delimiter would split the header, else "".

    >>> fix_delimiter(["text;label"])[:44]
    'the file seems to be delimited by semicolons'
    >>> fix_delimiter(["text", "label"])
    ''
    """
    for delimiter, noun in _DELIMITERS.items():
        if len(names) == 1 and delimiter in next(iter(names)):
            return (
                f"the file seems to be delimited by {noun} ({delimiter!r}): "
                "save it with commas, or with tabs as .tsv"
            )
    return ""
