"""Class labels as they occur in data: strings, whole numbers, booleans."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def label_problem(value: Any) -> str:
    """Returns why a value is not a class label, or "" if it is one.

    >>> label_problem(3.0), label_problem(True), label_problem(" "), label_problem([1])
    ('', '', 'empty label', 'list as label')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "empty label"
    if isinstance(value, str):
        return "" if value.strip() else "empty label"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return ""
    if has_fraction(value):
        return 'number with a fraction as label, which task="regression" learns'
    return f"{type(value).__name__} as label"


def as_label(value: Any) -> Any:
    """Returns a label as answers contain it: whole numbers become int."""
    return int(value) if isinstance(value, float) else value


def ids_by_spelling(labels: Iterable[Any]) -> dict[str, int]:
    """Returns the id of each label by its text, because CSV files only hold text.

    >>> ids_by_spelling([False, True])
    {'False': 0, 'True': 1}
    """
    return {str(label): index for index, label in enumerate(labels)}


def has_fraction(value: Any) -> bool:
    """Returns whether a value is a number with a fraction."""
    return isinstance(value, float) and math.isfinite(value) and not value.is_integer()


def fraction_in(labels: Iterable[Any]) -> str:
    """Returns the first label with a fraction if all are numbers written as text.

    >>> fraction_in(["1", "0.5"]), fraction_in(["v1", "0.5"]), fraction_in(["1", "2.0"])
    ('0.5', '', '')
    """
    labels = list(labels)
    if not all(
        isinstance(one, str) and _NUMBER.fullmatch(one.strip()) for one in labels
    ):
        return ""
    return next((one for one in labels if has_fraction(float(one))), "")
