"""IA3 as a Keras layer: learned factors on the inputs or the outputs of a layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfft.methods.layers.wrapper import Wrapper


@keras.saving.register_keras_serializable("tfft")
class IA3Layer(Wrapper):
    """A linear layer whose outputs, or inputs, are multiplied by learned factors.

    Args:
        layer: The `Dense` or `EinsumDense` to adapt.
        on_inputs: Multiply the inputs, as IA3 does in feed-forward blocks, instead of
            the outputs (bias included). Defaults to False.
        **options: Those of `Wrapper`.

    >>> import numpy as np
    >>> adapted = IA3Layer(keras.layers.Dense(3), on_inputs=True)
    >>> x = np.ones((1, 4), "float32")
    >>> bool((adapted(x) == adapted.layer(x)).numpy().all())
    True
    >>> [tuple(v.shape) for v in adapted.trainable_variables]
    [(4,)]
    """

    def __init__(
        self, layer: keras.layers.Layer, on_inputs: bool = False, **options: Any
    ) -> None:
        super().__init__(layer, **options)
        self.on_inputs = on_inputs

    def make_weights(self) -> None:
        """Creates the factors, which start at 1."""
        inputs, outputs = self.matrix.shape
        size = inputs if self.on_inputs else outputs
        self.factors = self.own_weight("ia3_l", (size,), "ones")

    @property
    def adapter_variables(self) -> list[Any]:
        """The factors."""
        return [self.factors]

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns W·(l∘x) + b, or l∘(W·x + b)."""
        if self.on_inputs:
            flat = self.matrix.flatten(ops.convert_to_tensor(inputs))
            scaled = flat * ops.cast(self.factors, flat.dtype)
            return self.layer(ops.reshape(scaled, ops.shape(inputs)))
        outputs = self.layer(inputs)
        flat = self.matrix.flatten_outputs(outputs)
        return self.matrix.unflatten(flat * ops.cast(self.factors, flat.dtype))

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns factors of 1."""
        return [(self.factors, ops.ones_like(self.factors))]

    def merged_values(self) -> list[tuple[Any, Any]]:
        """Returns the kernel times l, and the bias too if outputs are multiplied."""
        rows = self.factors[:, None] if self.on_inputs else self.factors
        kernel = self.matrix.as_kernel(self.matrix.kernel() * rows)
        values = [(self.base.kernel, kernel)]
        if self.base.bias is not None and not self.on_inputs:
            bias = self.matrix.bias() * ops.cast(self.factors, self.base.bias.dtype)
            values.append((self.base.bias, ops.reshape(bias, self.base.bias.shape)))
        return values

    def own_config(self) -> dict[str, Any]:
        """Returns IA3's option."""
        return {"on_inputs": self.on_inputs}
