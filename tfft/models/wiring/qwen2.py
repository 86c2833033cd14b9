"""Qwen2 and Qwen2.5 (Yang et al., 2024, arXiv:2407.10671)."""

from __future__ import annotations

from typing import ClassVar

from tfft.models.wiring.llama import LlamaWiring
from tfft.models.wiring.wiring import WIRINGS


@WIRINGS.register("QwenBackbone")
class Qwen2Wiring(LlamaWiring):
    """Qwen2: like Llama, with biases in query, key and value."""

    attention_kind: ClassVar[str] = "QwenAttention"

    @property
    def window(self) -> int | None:
        """The backbone's window; None when it does not use one."""
        if not self.backbone.use_sliding_window_attention:
            return None
        return self.backbone.sliding_window_size
