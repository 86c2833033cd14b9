"""The base class of layers that wrap a linear layer of the backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfft.core.errors import ConfigError
from tfft.methods.combine import Factors
from tfft.methods.inject import own_weights, put_in, take_out
from tfft.methods.layers.matrix import Matrix
from tfft.methods.swap import Swap


class Wrapper(keras.layers.Layer):
    """A method's layer around a `Dense` or an `EinsumDense`; abstract.

    The wrapped layer's weights are frozen. The wrapper's own weights are float32
    whatever the wrapped layer's dtype: in bfloat16, Adam's small steps round to zero.

    Switching an adapter off changes values and never code paths, so a function traced
    in one state is correct in every state.

    Args:
        layer: The layer to adapt, built or not; or another wrapper.
        seed: Seed for initial values and dropout.
        shared: A wrapper whose `shared_weight`s this one uses instead of its own.
            Defaults to None.
        label: Prefix of the names of the own weights, which distinguishes several
            adapters of one layer.
        **options: Those of every Keras layer.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        *,
        seed: int | None = None,
        shared: Wrapper | None = None,
        label: str = "",
        **options: Any,
    ) -> None:
        base = layer
        while isinstance(base, Wrapper):
            base = base.layer
        self.matrix = Matrix(base)
        options.setdefault("name", layer.name)
        options.setdefault("dtype", _float_policy(base))
        super().__init__(**options)
        self.layer, self.seed, self.label = layer, seed, label
        # The update is added before the activation: after a GELU it could not merge.
        self.activation = layer.activation
        layer.activation = keras.activations.linear
        self._merged: Swap | None = None
        # Behind a function, or Keras would count it as a child of this layer.
        self._owner = lambda: shared

    @property
    def base(self) -> keras.layers.Layer:
        """The innermost layer, which belongs to the backbone."""
        return self.matrix.layer

    def build(self, input_shape: Any) -> None:
        """Freezes the wrapped layer and creates the own weights."""
        if not self.layer.built:
            self.layer.build(input_shape)
        for variable in self.base.weights:
            variable.trainable = False
        self.make_weights()
        self.built = True

    def make_weights(self) -> None:
        """Creates the own weights with `own_weight`."""
        raise NotImplementedError

    def own_weight(
        self, name: str, shape: tuple[int, ...], initializer: Any, **options: Any
    ) -> Any:
        """Returns a new float32 weight, its name prefixed with the adapter's label."""
        return self.add_weight(
            name=f"{self.label}.{name}" if self.label else name,
            shape=shape,
            initializer=initializer,
            dtype="float32",
            **options,
        )

    @property
    def shares(self) -> bool:
        """Whether the `shared_weight`s belong to another wrapper."""
        return self._owner() is not None

    def shared_weight(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any = "zeros",
        **options: Any,
    ) -> Any:
        """Returns a new weight, or the shared weight with that name.

        Keep it as the attribute `name`: other wrappers find it there.

        Args:
            name: The name of the weight and of the attribute.
            shape: Its shape.
            initializer: Its first values.
            **options: Further options of `own_weight`, such as `trainable`.
        """
        if self.shares:
            return getattr(self._owner(), name)
        return self.own_weight(name, shape, initializer, **options)

    def update(self) -> Factors | None:
        """Returns the update as factors s·A·B, or None if it has no such form."""
        return None

    @property
    def adapter_variables(self) -> list[Any]:
        """The own weights that train."""
        raise NotImplementedError

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns the values of the own weights that leave the layer unchanged."""
        raise NotImplementedError

    def merged_values(self) -> list[tuple[Any, Any]]:
        """Returns the base layer's weights with the update added."""
        raise NotImplementedError

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns the outputs before the activation."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the adapted outputs, after the activation."""
        return self.activation(self.adapted(inputs, training))

    def merge(self) -> None:
        """Adds the update to the base weights and makes this layer neutral.

        Raises:
            ConfigError: For a quantized base, which would round the update away.
        """
        mode = self.base.quantization_mode
        if mode is not None:
            raise ConfigError(
                f"{self.base.path} is quantized to {mode}",
                where="merge",
                expected="a float kernel, because rounding would lose the update",
                fix="keep the adapter separate, or merge into the float backbone",
            )
        self._merged = Swap(self.merged_values(), self.neutral)

    def unmerge(self) -> None:
        """Restores base weights and own weights, bit for bit."""
        self._merged.undo()

    @property
    def learned_inputs(self) -> list[Any]:
        """Own weights that act as inputs of the text; most layers have none."""
        return []

    @property
    def saved_variables(self) -> dict[str, Any]:
        """The own weights by name, including those that do not train."""
        trained, fixed = own_weights(self)
        return {variable.name: variable for variable in [*trained, *fixed]}

    def leave(self, backbone: Any) -> Callable[[], None]:
        """Puts the wrapped layer back in its place in the backbone.

        Returns:
            A function that puts this layer in again.
        """
        spot = take_out(backbone, self)
        return lambda: put_in(self, spot)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the wrapped layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def own_config(self) -> dict[str, Any]:
        """Returns the constructor arguments that the subclass adds."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments, with the activation back in its layer."""
        inner = keras.saving.serialize_keras_object(self.layer)
        inner["config"]["activation"] = keras.activations.serialize(self.activation)
        return {
            **super().get_config(),
            "layer": inner,
            "seed": self.seed,
            "label": self.label,
            **self.own_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Wrapper:
        """Returns a layer from `get_config`."""
        inner = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": inner})


def _float_policy(layer: keras.layers.Layer) -> keras.DTypePolicy:
    """Returns the layer's policy without quantization: the branch uses floats."""
    if layer.quantization_mode is None:
        return layer.dtype_policy
    return keras.DTypePolicy(layer.compute_dtype)
