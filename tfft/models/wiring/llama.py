"""Llama (Touvron et al., 2023, arXiv:2302.13971) and architectures built like it."""

from __future__ import annotations

from typing import Any, ClassVar

from tfft.compute.activations import silu
from tfft.models.wiring.wiring import (
    WIRINGS,
    Attend,
    Drop,
    Wiring,
    inner_layer,
    plain_attention,
)


@WIRINGS.register("LlamaBackbone")
class LlamaWiring(Wiring):
    """Llama: pre-norm with RMS norms, rotary positions, gated feed-forward blocks.

    Attributes:
        attention_kind: Class name of the attention layers.
    """

    attention_kind: ClassVar[str] = "LlamaAttention"

    @property
    def key_shape(self) -> tuple[int, int]:
        """The number of key heads (it may be below that of queries), and their size."""
        size = self.backbone.hidden_dim // self.backbone.num_query_heads
        return self.backbone.num_key_value_heads, size

    @property
    def position_limit(self) -> None:
        """None: rotary positions have no limit."""
        return

    def embed(self, token_ids: Any, positions: Any) -> Any:
        """Returns the token embeddings; the attention adds the positions."""
        return self.backbone.token_embedding(token_ids)

    @property
    def embedding_dropouts(self) -> list[Any]:
        """Empty: Llama has no dropout there."""
        return []

    def dropouts(self, block: Any) -> list[Any]:
        """Returns the dropout inside the attention, and the one after it."""
        return [
            self._attention(block)._dropout_layer,
            inner_layer(block, "self_attention_dropout"),
        ]

    def block(
        self, block: Any, x: Any, positions: Any, attend: Attend, drop: Drop
    ) -> Any:
        """Returns x + attention(norm(x)), then x + down(silu(gate(x))·up(x))."""
        attention = self._attention(block)
        inside, after_attention = self.dropouts(block)
        rotate = attention.rotary_embedding_layer
        normed = inner_layer(block, "self_attention_layernorm")(x)
        mixed = attend(
            rotate(inner_layer(attention, "query")(normed), positions=positions),
            rotate(inner_layer(attention, "key")(normed), positions=positions),
            inner_layer(attention, "value")(normed),
            None,
        )
        mixed = inner_layer(attention, "attention_output")(drop(inside, mixed))
        x = x + drop(after_attention, mixed)
        normed = inner_layer(block, "feedforward_layernorm")(x)
        gate = silu(inner_layer(block, "feedforward_gate_dense")(normed))
        inner = inner_layer(block, "feedforward_intermediate_dense")(normed)
        return x + inner_layer(block, "feedforward_output_dense")(inner * gate)

    def _attention(self, block: Any) -> Any:
        return plain_attention(block, "self_attention", self.attention_kind)
