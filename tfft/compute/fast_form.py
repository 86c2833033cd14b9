"""A faster way for one kind of layer to compute the same result."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple


class FastForm(NamedTuple):
    """Which layers have a faster form, and what to replace in them.

    Attributes:
        matches: Tells whether a layer is of the kind that this form replaces.
        attribute: The layer's attribute to replace, such as `call`.
        value: Returns the new value of that attribute for a layer.
    """

    matches: Callable[[Any], bool]
    attribute: str
    value: Callable[[Any], Any]

    def apply(self, layer: Any) -> None:
        """Changes a layer in place if it matches."""
        if self.matches(layer):
            setattr(layer, self.attribute, self.value(layer))


def fast_method(
    matches: Callable[[Any], bool], function: Callable[..., Any], name: str = "call"
) -> FastForm:
    """Returns a form that replaces one method of a layer.

    Args:
        matches: Tells whether a layer is of the kind that this form replaces.
        function: The new method; its first argument is the layer.
        name: The method's name. Defaults to `call`.
    """
    return FastForm(matches, name, lambda layer: types.MethodType(function, layer))
