"""Mistral (Jiang et al., 2023, arXiv:2310.06825)."""

from __future__ import annotations

from typing import ClassVar

from tfft.models.wiring.llama import LlamaWiring
from tfft.models.wiring.wiring import WIRINGS


@WIRINGS.register("MistralBackbone")
class MistralWiring(LlamaWiring):
    """Mistral: as Llama, but a token sees a window, and heads may have any size."""

    attention_kind: ClassVar[str] = "CachedMistralAttention"

    @property
    def key_shape(self) -> tuple[int, int]:
        """Fewer heads than the queries have."""
        heads, share = super().key_shape
        return heads, self.backbone.head_dim or share

    @property
    def window(self) -> int | None:
        """What the backbone says; None for no window."""
        return self.backbone.sliding_window
