"""Llama (Touvron et al., 2023, arXiv:2302.13971) and what is built like it."""

from __future__ import annotations

from typing import Any, ClassVar

from tfft.compute.activations import silu
from tfft.models.wiring.wiring import (
    WIRINGS,
    Attend,
    Drop,
    Wiring,
    part,
    plain_attention,
)


@WIRINGS.register("LlamaBackbone")
class LlamaWiring(Wiring):
    """Llama: RMS norms before, rotary positions, a gated feed-forward part.

    Attributes:
        attention_kind: The class of the attention layers.
    """

    attention_kind: ClassVar[str] = "LlamaAttention"

    @property
    def key_shape(self) -> tuple[int, int]:
        """Fewer heads than the queries have."""
        size = self.backbone.hidden_dim // self.backbone.num_query_heads
        return self.backbone.num_key_value_heads, size

    @property
    def position_limit(self) -> None:
        """None: rotations exist for every position."""
        return

    def embed(self, token_ids: Any, positions: Any) -> Any:
        """Returns the token embeddings; positions come in with the attention."""
        return self.backbone.token_embedding(token_ids)

    @property
    def embedding_dropouts(self) -> list[Any]:
        """None."""
        return []

    def dropouts(self, block: Any) -> list[Any]:
        """Returns that inside the attention and that after it."""
        return [
            self._attention(block)._dropout_layer,
            part(block, "self_attention_dropout"),
        ]

    def block(
        self, block: Any, x: Any, positions: Any, attend: Attend, drop: Drop
    ) -> Any:
        """Returns x + attention(norm(x)), then x + down(silu(gate(x))·up(x))."""
        attention = self._attention(block)
        inside, after_attention = self.dropouts(block)
        rotate = attention.rotary_embedding_layer
        normed = part(block, "self_attention_layernorm")(x)
        mixed = attend(
            rotate(part(attention, "query")(normed), positions=positions),
            rotate(part(attention, "key")(normed), positions=positions),
            part(attention, "value")(normed),
            None,
        )
        mixed = part(attention, "attention_output")(drop(inside, mixed))
        x = x + drop(after_attention, mixed)
        normed = part(block, "feedforward_layernorm")(x)
        gate = silu(part(block, "feedforward_gate_dense")(normed))
        inner = part(block, "feedforward_intermediate_dense")(normed)
        return x + part(block, "feedforward_output_dense")(inner * gate)

    def _attention(self, block: Any) -> Any:
        return plain_attention(block, "self_attention", self.attention_kind)
