"""What makes a backbone's layers compute the same faster."""

from __future__ import annotations

from typing import Any

from tfft.compute.activations import use_own_gelu
from tfft.compute.attention import use_products
from tfft.compute.dropout import use_byte_draws
from tfft.compute.einsum import use_matrices
from tfft.compute.embedding import use_rows
from tfft.compute.first_token import use_first_token
from tfft.compute.norm import use_own_norm


def speed_up(backbone: Any) -> None:
    """Replaces how layers of a backbone compute.

    Args:
        backbone: Changed in place; its weights and its results, but for rounding,
            stay.
    """
    use_products(backbone)
    use_matrices(backbone)
    use_own_gelu(backbone)
    use_own_norm(backbone)
    use_byte_draws(backbone)
    use_rows(backbone)
    use_first_token(backbone)
