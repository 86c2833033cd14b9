"""GPT-2 (Radford et al., 2019)."""

from __future__ import annotations

from typing import Any

from tfft.models.wiring.wiring import WIRINGS, Attend, Drop, Wiring, part
from tfft.models.wiring.wiring import plain_attention as attention_of


@WIRINGS.register("GPT2Backbone")
class GPT2Wiring(Wiring):
    """GPT-2: norms before, learned positions, GELU."""

    @property
    def key_shape(self) -> tuple[int, int]:
        """Every head has its keys."""
        heads = self.backbone.num_heads
        return heads, self.backbone.hidden_dim // heads

    @property
    def position_limit(self) -> int:
        """The rows of the position table."""
        return self.backbone.max_sequence_length

    def embed(self, token_ids: Any, positions: Any) -> Any:
        """Returns the sum of token and position embeddings."""
        x = self.backbone.token_embedding(token_ids)
        return x + self.backbone.position_embedding(x, positions=positions)

    @property
    def embedding_dropouts(self) -> list[Any]:
        """One."""
        return [self.backbone.embeddings_dropout]

    def dropouts(self, block: Any) -> list[Any]:
        """Returns those of the attention's shares, of the attention, of the rest."""
        return [
            _attention(block)._dropout_layer,
            part(block, "self_attention_dropout"),
            part(block, "feedforward_dropout"),
        ]

    def block(
        self, block: Any, x: Any, positions: Any, attend: Attend, drop: Drop
    ) -> Any:
        """Returns x + attention(norm(x)), then x + feedforward(norm(x))."""
        attention = _attention(block)
        shares, after_attention, after_feedforward = self.dropouts(block)
        normed = part(block, "self_attention_layer_norm")(x)
        mixed = attend(
            part(attention, "query")(normed),
            part(attention, "key")(normed),
            part(attention, "value")(normed),
            lambda one: drop(shares, one),
        )
        x = x + drop(after_attention, part(attention, "attention_output")(mixed))
        normed = part(block, "feedforward_layer_norm")(x)
        inner = part(block, "feedforward_intermediate_dense")(normed)
        outer = part(block, "feedforward_output_dense")(inner)
        return x + drop(after_feedforward, outer)


def _attention(block: Any) -> Any:
    return attention_of(block, "self_attention", "CachedMultiHeadAttention")
