"""A model whose last encoder layer computes only the tokens that are used."""

from __future__ import annotations

from typing import Any

import keras

from tfft.compute.first_token import first_token_alone


class FirstTokenModel(keras.Model):
    """A functional Keras model over an encoder or a part of it.

    Args:
        inputs: Symbolic inputs, as for every functional model.
        outputs: Symbolic outputs.
        network: The network that this model is a part of, which decides whether only
            the first token is used. Defaults to None, for a model that defines its own
            `first_token_layer`.
        **options: Those of every Keras model.
    """

    def __init__(
        self, inputs: Any, outputs: Any, network: Any = None, **options: Any
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **options)
        # Behind a function, or Keras would count its layers as this model's.
        self._network = lambda: network

    @property
    def first_token_layer(self) -> Any:
        """The layer of which only the first token is used, or None."""
        return getattr(self._network(), "first_token_layer", None)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Returns the outputs."""
        with first_token_alone(self.first_token_layer):
            return super().call(inputs, training=training, mask=mask)
