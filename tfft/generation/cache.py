"""The decoding step and the choice of tokens, traced once for all calls."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.compute.forward_only import forward_only
from tfft.compute.structure import structure_of
from tfft.generation.choosing import Choices, choose
from tfft.generation.decoding_step import (
    cache_specs,
    decode_step,
    empty_caches,
    settled,
)
from tfft.models.wiring.wiring import wiring_of

_STEPS: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()


def decoding_step(backbone: Any) -> Any:
    """Returns `decode_step` of a backbone as a traced function.

    One trace serves all batch sizes and lengths and lives as long as the backbone. It
    reads the weights in each call. After a change of layers or their settings, a new
    function replaces it.

    Args:
        backbone: A KerasHub decoder.

    Returns:
        A `tf.function` of token ids, blanks and caches, as in `decode_step`.
    """
    structure = structure_of(backbone)
    kept = _STEPS.get(backbone)
    if kept is None or kept[0] != structure:
        kept = _STEPS[backbone] = structure, _traceable(backbone)
    return kept[1]


def _traceable(backbone: Any) -> Any:
    # A strong reference from the function would keep the backbone alive for good.
    reference = weakref.ref(backbone)

    def step(token_ids: Any, blanks: Any, caches: Any) -> Any:
        with forward_only():
            return decode_step(wiring_of(reference()), token_ids, blanks, caches)

    return tf.function(
        step,
        autograph=False,
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            cache_specs(wiring_of(backbone)),
        ],
    )


class CachedDecoder:
    """A decoder over a batch of prompts that end at the same place.

    Args:
        backbone: A KerasHub decoder.
        blanks: The number of padded places before each prompt, shape (batch,).
    """

    def __init__(self, backbone: Any, blanks: np.ndarray) -> None:
        self._step = decoding_step(backbone)
        self._blanks = tf.constant(blanks, tf.int32)
        self._caches = empty_caches(wiring_of(backbone), len(blanks))

    def __call__(self, token_ids: np.ndarray) -> tf.Tensor:
        """Returns the logits after the last of some tokens.

        Args:
            token_ids: The next tokens of each row, shape (batch, count).

        Returns:
            Shape (batch, vocabulary), in float32.
        """
        ids = tf.constant(token_ids, tf.int32)
        logits, caches = self._step(ids, self._blanks, self._caches)
        self._caches = settled(caches)
        return logits


def next_tokens(
    logits: tf.Tensor, seen: np.ndarray, count: int, choices: Choices
) -> np.ndarray:
    """Returns the next token of each row; see `choose`."""
    seen = tf.constant(seen, tf.int32)
    return _choose(logits, seen, tf.constant(count, tf.int32), choices).numpy()


_ROWS = tf.TensorSpec((None,), tf.float32)
_choose = tf.function(
    choose,
    autograph=False,
    input_signature=[
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((), tf.int32),
        Choices(
            temperature=_ROWS,
            top_k=tf.TensorSpec((None,), tf.int32),
            top_p=_ROWS,
            repetition_penalty=_ROWS,
            key=tf.TensorSpec((None,), tf.int64),
        ),
    ],
)
