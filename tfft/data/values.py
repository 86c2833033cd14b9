"""Converts values of other libraries to plain Python values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tfft.core.errors import DataError, shorten

_PLAIN = (str, int, bool, type(None))
_MISSING = ("NAType", "NaTType")  # pandas.NA and pandas.NaT, without pandas


def plain(value: Any) -> Any:
    r"""Returns numpy and pandas values as Python values, and bytes as text.

    Values that a library treats as missing (NaN, NaT, NA) become None.

    Raises:
        UnicodeDecodeError: For bytes that are not UTF-8.

    >>> plain([b"caf\xc3\xa9", float("nan"), (1, 2)])
    ['café', None, [1, 2]]
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        return None if value != value else float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_foreign(value)


def _plain_foreign(value: Any) -> Any:
    if type(value).__name__ in _MISSING:
        return None
    for method in ("tolist", "to_list"):
        if hasattr(value, method):
            inner = getattr(value, method)()
            # numpy's long double converts to itself.
            return inner if type(inner) is type(value) else plain(inner)
    return value


def label_names(value: Any, feature: Any) -> Any:
    """Returns a value with class numbers replaced by the names of the classes.

    Args:
        value: A value of the column, or a list or dict of values.
        feature: The column's feature in TensorFlow Datasets or Hugging Face's
            `datasets`: both keep the names in `names`, and those of a sequence in
            `feature`.

    Returns:
        The value; -1, which means "no label" in both libraries, becomes None.

    Raises:
        IndexError: For a number without a name.
    """
    names = _names(feature)
    if names is not None:
        return _named(value, names)
    inner = getattr(feature, "feature", feature)
    if isinstance(value, dict):
        return {key: label_names(item, inner[key]) for key, item in value.items()}
    if isinstance(value, list) and inner is not feature:
        return [label_names(item, inner) for item in value]
    return value


def _names(feature: Any) -> list[str] | None:
    try:
        return feature.names
    except (AttributeError, TypeError):  # TypeError: a class label without classes
        return None


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    if value is None or value == -1:
        return None
    if not 0 <= value < len(names):
        raise IndexError(f"class {value} of {len(names)}")
    return names[value]


def converted(
    values: Iterable[Any], convert: Callable[[Any], Any], column: str, source: str
) -> list[Any]:
    """Converts the values of a column, or names the value that fails.

    Args:
        values: The values of the column.
        convert: The function to apply to each value.
        column: The column's name in messages.
        source: The source's name in messages.

    Raises:
        DataError: Names row, column and value.
    """
    result = []
    for row, value in enumerate(values, start=1):
        try:
            result.append(convert(value))
        except RecursionError as error:
            raise DataError(
                f'column "{column}" is nested too deeply',
                where=f"{source} row {row}",
                fix="give text, numbers or short lists of them",
            ) from error
        except (UnicodeDecodeError, IndexError) as error:
            raise DataError(
                f'column "{column}" holds {shorten(value)}: {error}',
                where=f"{source} row {row}",
                fix="give UTF-8 text"
                if isinstance(error, UnicodeDecodeError)
                else "give a number that has a class name",
            ) from error
    return result
