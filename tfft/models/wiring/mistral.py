"""Mistral (Jiang et al., 2023, arXiv:2310.06825)."""

from __future__ import annotations

from typing import ClassVar

from tfft.models.wiring.llama import LlamaWiring
from tfft.models.wiring.wiring import WIRINGS


@WIRINGS.register("MistralBackbone")
class MistralWiring(LlamaWiring):
    """Mistral: like Llama, but a token sees a window, and heads may have any size."""

    attention_kind: ClassVar[str] = "CachedMistralAttention"

    @property
    def key_shape(self) -> tuple[int, int]:
        """The number of key heads (it may be below that of queries), and their size."""
        heads, share = super().key_shape
        return heads, self.backbone.head_dim or share

    @property
    def window(self) -> int | None:
        """The backbone's window; None when it has none."""
        return self.backbone.sliding_window
