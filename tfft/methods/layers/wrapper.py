"""What every layer around a linear layer of the backbone has in common."""

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
    """A layer of a method's own around a `Dense` or an `EinsumDense`; abstract.

    The wrapped layer's own weights freeze. Own weights are float32 whatever the
    wrapped layer's dtype: in bfloat16 Adam's small steps round to nothing.

    Switching off works by values and never by branches in the code, so a function
    traced in any state is right in every state.

    Args:
        layer: The layer to adapt, built or not; or another wrapper.
        seed: For initial values and dropout.
        shared: A wrapper whose `shared_weight`s this one uses instead of its own.
            Defaults to None.
        label: Goes before the names of the own weights, to tell the adapters of
            one layer apart.
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
        # Updates belong before the activation: after a GELU they could not merge.
        self.activation = layer.activation
        layer.activation = keras.activations.linear
        self._merged: Swap | None = None
        # Behind a function, or Keras would count it as a child of this layer.
        self._owner = lambda: shared

    @property
    def base(self) -> keras.layers.Layer:
        """The innermost layer, which is the backbone's own."""
        return self.matrix.layer

    def build(self, input_shape: Any) -> None:
        """Freezes the wrapped layer and makes the own weights."""
        if not self.layer.built:
            self.layer.build(input_shape)
        for variable in self.base.weights:
            variable.trainable = False
        self.make_weights()
        self.built = True

    def make_weights(self) -> None:
        """Adds the own weights by `own_weight`."""
        raise NotImplementedError

    def own_weight(
        self, name: str, shape: tuple[int, ...], initializer: Any, **options: Any
    ) -> Any:
        """Returns a new float32 weight, its name after the adapter's label."""
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

    def shared_weight(self, name: str, shape: tuple[int, ...]) -> Any:
        """Returns a weight of zeros, or the one of that name it is shared with."""
        if self.shares:
            return getattr(self._owner(), name)
        return self.own_weight(name, shape, "zeros")

    def update(self) -> Factors | None:
        """Returns the update s·A·B of the matrix; None when it has no such form."""
        return None

    @property
    def adapter_variables(self) -> list[Any]:
        """The own weights that train."""
        raise NotImplementedError

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns values of the own weights with which nothing is changed."""
        raise NotImplementedError

    def merged_values(self) -> list[tuple[Any, Any]]:
        """Returns values of the base layer's weights that do what this layer does."""
        raise NotImplementedError

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns the outputs before the activation."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the adapted outputs, after the activation."""
        return self.activation(self.adapted(inputs, training))

    def merge(self) -> None:
        """Puts the update into the base weights and makes this layer neutral.

        Raises:
            ConfigError: For a quantised base, whose steps are coarser than the update.
        """
        mode = self.base.quantization_mode
        if mode is not None:
            raise ConfigError(
                f"{self.base.path} is quantised to {mode}",
                where="merge",
                expected="a float kernel, whose rounding does not swallow the update",
                fix="keep the adapter beside it, or merge into the float backbone",
            )
        self._merged = Swap(self.merged_values(), self.neutral)

    def unmerge(self) -> None:
        """Puts back base weights and own weights, bit for bit."""
        self._merged.undo()

    @property
    def learned_inputs(self) -> list[Any]:
        """Own weights that stand for inputs of the text; most have none."""
        return []

    @property
    def saved_variables(self) -> dict[str, Any]:
        """The own weights by name, those that do not train included."""
        trained, fixed = own_weights(self)
        return {variable.name: variable for variable in [*trained, *fixed]}

    def leave(self, backbone: Any) -> Callable[[], None]:
        """Gives its spot in the backbone back to the wrapped layer.

        Returns:
            A function that undoes it.
        """
        spot = take_out(backbone, self)
        return lambda: put_in(self, spot)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the wrapped layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def own_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments that the subclass added."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the activation back in its layer."""
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
    """Returns a policy without quantisation: the branch computes in floats."""
    if layer.quantization_mode is None:
        return layer.dtype_policy
    return keras.DTypePolicy(layer.compute_dtype)
