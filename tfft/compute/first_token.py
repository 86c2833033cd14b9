"""Computes an encoder's last layer for the first token only, if no other is used."""

from __future__ import annotations

import contextvars
from contextlib import AbstractContextManager
from typing import Any

from tfft.compute.fast_form import fast_method
from tfft.compute.scoped import scoped

_alone: contextvars.ContextVar[Any] = contextvars.ContextVar("alone", default=None)


def last_layer(backbone: Any) -> Any:
    """Returns the layer whose output is the encoder's sequence, or None."""
    found = [one for one in backbone.layers if _is_encoder(one)]
    outputs = backbone.output
    states = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
    return found[-1] if found and found[-1].output is states else None


def first_token_alone(layer: Any) -> AbstractContextManager[None]:
    """Makes a last layer compute only the first token inside a `with` block.

    The first token's state needs every token's key and value, but no other query and
    no other token's feed-forward block: this saves five sixths of the layer.

    Args:
        layer: The return value of `last_layer`. Inside the block its output has shape
            (batch, 1, hidden). The block does nothing for None, or if an adapter wraps
            the layer's call, such as a prompt before the text.
    """
    call = getattr(layer, "call", None)
    ours = getattr(call, "__func__", None) is _compute
    return scoped(_alone, layer if ours else None)


def _is_encoder(layer: Any) -> bool:
    from keras_hub.layers import TransformerEncoder

    return type(layer) is TransformerEncoder


def _compute(
    self: Any,
    inputs: Any,
    padding_mask: Any = None,
    attention_mask: Any = None,
    training: bool | None = None,
    return_attention_scores: bool = False,
) -> Any:
    """Replaces `TransformerEncoder.call`."""
    other = attention_mask is not None or return_attention_scores
    if _alone.get() is not self or other:
        plain = type(self).call
        return plain(
            self,
            inputs,
            padding_mask,
            attention_mask,
            training,
            return_attention_scores,
        )
    from keras import ops

    before = self.normalize_first
    states = self._self_attention_layer_norm(inputs) if before else inputs
    mask = None if padding_mask is None else ops.cast(padding_mask, "bool")[:, None]
    mixed = self._self_attention_layer(
        query=states[:, 0][:, None],
        value=states,
        attention_mask=mask,
        training=training,
    )
    x = inputs[:, 0][:, None] + self._self_attention_dropout(mixed, training=training)
    if not before:
        x = self._self_attention_layer_norm(x)
    y = self._feedforward_layer_norm(x) if before else x
    y = self._feedforward_output_dense(self._feedforward_intermediate_dense(y))
    x = x + self._feedforward_dropout(y, training=training)
    return x if before else self._feedforward_layer_norm(x)


# Outside `first_token_alone` an encoder layer computes all tokens.
FIRST_TOKEN = fast_method(_is_encoder, _compute)
