"""Computes a decoder's hidden states for packed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfft.compute.attention import attend, attend_causally
from tfft.models.wiring.packed_mask import packed_mask
from tfft.models.wiring.seeded_dropout import Dropouts, draw
from tfft.models.wiring.wiring import Wiring


def decoder_states(
    wiring: Wiring,
    token_ids: Any,
    positions: Any,
    sequence_ids: Any,
    *,
    training: bool = False,
    gradient_checkpointing: bool = False,
    disturb: Callable[[Any], Any] | None = None,
) -> Any:
    """Returns the states that the head reads, shape (batch, length, hidden).

    Args:
        wiring: The wiring of the decoder.
        token_ids: Shape (batch, length).
        positions: Position of each token in its sequence, shape (batch, length).
        sequence_ids: Number of each token's sequence within its row, shape (batch,
            length). A token sees only its own sequence.
        training: Whether to apply dropout. Defaults to False.
        gradient_checkpointing: Whether to keep only the input of each block and to
            compute the block again in the backward pass: less memory, a third more
            time. Defaults to False.
        disturb: Changes the embeddings, for example adds noise. Defaults to None.
    """
    mask = packed_mask(sequence_ids, wiring.window)
    x = wiring.embed(token_ids, positions)
    if disturb is not None:
        x = disturb(x)
    seeds = dict(draw(wiring.embedding_dropouts)) if training else {}
    for layer in wiring.embedding_dropouts:
        x = Dropouts(seeds)(layer, x)
    run = _recomputed if gradient_checkpointing and training else _kept
    for block in wiring.blocks:
        seeds = draw(wiring.dropouts(block)) if training else []
        x = run(wiring, block, x, positions, mask, seeds)
    return wiring.finish(x)


def _kept(
    wiring: Wiring, block: Any, x: Any, positions: Any, mask: Any, seeds: list
) -> Any:
    def packed(query: Any, key: Any, value: Any, drop: Any) -> Any:
        if seeds:
            return attend(query, key, value, mask, drop)
        return attend_causally(query, key, value, mask)

    return wiring.block(block, x, positions, packed, Dropouts(dict(seeds)))


def _recomputed(
    wiring: Wiring, block: Any, x: Any, positions: Any, mask: Any, seeds: list
) -> Any:
    def compute(inputs: Any) -> Any:
        return _kept(wiring, block, inputs, positions, mask, seeds)

    return tf.recompute_grad(compute)(x)
