"""A model whose encoder's last layer computes no more tokens than are read of it."""

from __future__ import annotations

from typing import Any

import keras

from tfft.compute.first_token import first_token_alone


class FirstTokenModel(keras.Model):
    """A functional Keras model over an encoder, or over a part of it.

    Args:
        inputs: Symbolic inputs, as every functional model has them.
        outputs: Symbolic outputs.
        network: The model that this one is made of; it reads as little. Defaults to
            none, for a model with a `first_token_layer` of its own.
        **options: Those of every Keras model.
    """

    def __init__(
        self, inputs: Any, outputs: Any, network: Any = None, **options: Any
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **options)
        # Behind a function, or its layers would count as this model's own.
        self._network = lambda: network

    @property
    def first_token_layer(self) -> Any:
        """The layer of which the first token's state alone is read, or None."""
        return getattr(self._network(), "first_token_layer", None)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Returns the outputs."""
        with first_token_alone(self.first_token_layer):
            return super().call(inputs, training=training, mask=mask)
