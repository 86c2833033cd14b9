"""GPT-2 (Radford et al., 2019)."""

from __future__ import annotations

from typing import Any

from tfft.models.wiring.wiring import WIRINGS, Attend, Drop, Wiring, inner_layer
from tfft.models.wiring.wiring import plain_attention as attention_of


@WIRINGS.register("GPT2Backbone")
class GPT2Wiring(Wiring):
    """GPT-2: pre-norm, learned positions, GELU."""

    @property
    def key_shape(self) -> tuple[int, int]:
        """The number of heads, each with its own keys, and the size of one."""
        heads = self.backbone.num_heads
        return heads, self.backbone.hidden_dim // heads

    @property
    def position_limit(self) -> int:
        """The number of rows in the position table."""
        return self.backbone.max_sequence_length

    def embed(self, token_ids: Any, positions: Any) -> Any:
        """Returns the sum of token and position embeddings."""
        x = self.backbone.token_embedding(token_ids)
        return x + self.backbone.position_embedding(x, positions=positions)

    @property
    def embedding_dropouts(self) -> list[Any]:
        """The one dropout after the embeddings."""
        return [self.backbone.embeddings_dropout]

    def dropouts(self, block: Any) -> list[Any]:
        """Returns the dropouts of attention weights, attention and feed-forward."""
        return [
            _attention(block)._dropout_layer,
            inner_layer(block, "self_attention_dropout"),
            inner_layer(block, "feedforward_dropout"),
        ]

    def block(
        self, block: Any, x: Any, positions: Any, attend: Attend, drop: Drop
    ) -> Any:
        """Returns x + attention(norm(x)), then x + feedforward(norm(x))."""
        attention = _attention(block)
        on_weights, after_attention, after_feedforward = self.dropouts(block)
        normed = inner_layer(block, "self_attention_layer_norm")(x)
        mixed = attend(
            inner_layer(attention, "query")(normed),
            inner_layer(attention, "key")(normed),
            inner_layer(attention, "value")(normed),
            lambda weights: drop(on_weights, weights),
        )
        x = x + drop(after_attention, inner_layer(attention, "attention_output")(mixed))
        normed = inner_layer(block, "feedforward_layer_norm")(x)
        inner = inner_layer(block, "feedforward_intermediate_dense")(normed)
        outer = inner_layer(block, "feedforward_output_dense")(inner)
        return x + drop(after_feedforward, outer)


def _attention(block: Any) -> Any:
    return attention_of(block, "self_attention", "CachedMultiHeadAttention")
