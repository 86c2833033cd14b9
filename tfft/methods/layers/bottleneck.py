"""A bottleneck after a layer's outputs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfft.methods.layers.wrapper import Wrapper


@keras.saving.register_keras_serializable("tfft")
class BottleneckLayer(Wrapper):
    """A linear layer followed by h + U·f(D·h + d) + u.

    U starts at zero, so the layer starts out computing the same as the wrapped one.

    Args:
        layer: The `Dense` or `EinsumDense` to adapt.
        size: Width of the bottleneck. Defaults to 64.
        nonlinearity: Name of f, one of Keras' activations. Defaults to `relu`.
        **options: Those of `Wrapper`.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        size: int = 64,
        nonlinearity: str = "relu",
        **options: Any,
    ) -> None:
        super().__init__(layer, **options)
        self.size, self.nonlinearity = size, nonlinearity
        self._function = keras.activations.get(nonlinearity)

    def make_weights(self) -> None:
        """Creates the two projections and their biases."""
        width = self.matrix.shape[1]
        normal = keras.initializers.RandomNormal(stddev=0.02, seed=self.seed)
        self.down = self.own_weight("down", (width, self.size), normal)
        self.down_bias = self.own_weight("down_bias", (self.size,), "zeros")
        self.up = self.own_weight("up", (self.size, width), "zeros")
        self.up_bias = self.own_weight("up_bias", (width,), "zeros")

    @property
    def adapter_variables(self) -> list[Any]:
        """Both projections and their biases."""
        return [self.down, self.down_bias, self.up, self.up_bias]

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns the wrapped layer's outputs plus the bottleneck's update."""
        h = self.matrix.flatten_outputs(self.layer(inputs))
        down, down_bias, up, up_bias = (
            ops.cast(variable, h.dtype) for variable in self.adapter_variables
        )
        inner = self._function(ops.matmul(h, down) + down_bias)
        return self.matrix.unflatten(h + (ops.matmul(inner, up) + up_bias))

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns zeros for the up projection and its bias."""
        return [(v, ops.zeros_like(v)) for v in (self.up, self.up_bias)]

    def own_config(self) -> dict[str, Any]:
        """Returns the bottleneck's options."""
        return {"size": self.size, "nonlinearity": self.nonlinearity}
