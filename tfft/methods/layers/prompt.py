"""Learned vectors in front of the states of the first layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from tfft.core.errors import ConfigError
from tfft.methods.layers.attached import Attached, bound


class PromptLayer(Attached):
    """Vectors that pass through all layers before the text and are then removed.

    Args:
        host: The first layer of the backbone.
        start: The initial vectors, shape (length, hidden).
        **options: Those of `Attached`.
    """

    def __init__(self, host: Any, start: np.ndarray, **options: Any) -> None:
        super().__init__(host, **options)
        self.start = start

    def make_weights(self) -> None:
        """Creates the vectors."""
        self.prompt = self.add_weight(
            name="prompt", shape=self.start.shape, initializer="zeros", dtype="float32"
        )
        self.prompt.assign(self.start)

    @property
    def learned_inputs(self) -> list[Any]:
        """The vectors."""
        return [self.prompt]

    def first(self, original: Any, *args: Any, **options: Any) -> Any:
        """Returns the first layer's outputs for the vectors followed by its inputs."""
        given = bound(original, args, options)
        name = next(iter(given))
        states = given[name]
        prompt = ops.cast(self.prompt, states.dtype)
        shape = (ops.shape(states)[0], *self.start.shape)
        given[name] = ops.concatenate([ops.broadcast_to(prompt, shape), states], axis=1)
        return original(**given)

    def every(self, original: Any, *args: Any, **options: Any) -> Any:
        """Returns a layer's outputs, with the vectors added to its mask."""
        given = bound(original, args, options)
        length = len(self.start)
        for name, value in given.items():
            if name.endswith(("attention_mask", "_cache")) and value is not None:
                raise ConfigError(
                    f"prompt tuning with {name}",
                    expected="whole texts, not packed and not generated step by step",
                    fix="use prefix tuning, or turn off packing and caching",
                )
        mask = next(name for name in given if name.endswith("padding_mask"))
        mask = _OWN_MASK if _OWN_MASK in given else mask
        if given[mask] is None:
            states = ops.shape(next(iter(given.values())))
            given[mask] = ops.ones((states[0], states[1] - length), "int32")
        given[mask] = self.before_mask(given[mask], length)
        return original(**given)

    def last(self, original: Any, *args: Any, **options: Any) -> Any:
        """Returns the last layer's outputs for the text only."""
        return original(*args, **options)[:, len(self.start) :]


_OWN_MASK = "decoder_padding_mask"  # an encoder's mask comes in the same call
