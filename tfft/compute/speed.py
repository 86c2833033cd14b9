"""Makes the layers of a backbone compute faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfft.compute.activations import OWN_GELU
from tfft.compute.attention import TWO_PRODUCTS
from tfft.compute.dropout import BYTE_DRAWS
from tfft.compute.einsum import ONE_MATRIX
from tfft.compute.embedding import ROWS_FIRST
from tfft.compute.fast_form import FastForm
from tfft.compute.first_token import FIRST_TOKEN
from tfft.compute.layers import spots
from tfft.compute.norm import OWN_NORM

FAST_FORMS = (
    TWO_PRODUCTS,
    ONE_MATRIX,
    OWN_GELU,
    OWN_NORM,
    BYTE_DRAWS,
    ROWS_FIRST,
    FIRST_TOKEN,
)


def speed_up(backbone: Any, forms: Sequence[FastForm] = FAST_FORMS) -> None:
    """Gives every layer of a backbone its fast form.

    Args:
        backbone: Changed in place. Its weights stay the same, and so do its results
            except for rounding.
        forms: The forms to use. Defaults to all of them.
    """
    for spot in spots(backbone):
        for form in forms:
            form.apply(spot.layer)
