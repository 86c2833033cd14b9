"""LoRA as Keras layers: a low-rank side branch around a frozen layer."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfft.core.errors import ConfigError


def low_rank(x: Any, a: Any, b: Any, scale: float) -> Any:
    """Returns s·(x·A)·B, never the product A·B.

    Args:
        x: Inputs, shape (..., in).
        a: Down projection A, shape (in, rank).
        b: Up projection B, shape (rank, out).
        scale: The factor s.

    Returns:
        The update of the outputs, shape (..., out).
    """
    # Keras casts weights of itself only where a layer's two dtypes differ; in a layer
    # all bfloat16, float32 factors would make the sum float32.
    a, b = ops.cast(a, x.dtype), ops.cast(b, x.dtype)
    return ops.matmul(ops.matmul(x, a), b) * scale


class LoRALayer(keras.layers.Layer):
    """What both LoRA layers share; use `LoRADense` or `LoRAEinsumDense`.

    The wrapped layer's own weights freeze. Adapter weights are float32 whatever
    the wrapped layer's dtype: in bfloat16 Adam's small steps round to nothing.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        use_rslora: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        options.setdefault("name", layer.name)
        options.setdefault("dtype", _float_policy(layer))
        super().__init__(**options)
        self.layer = layer
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.use_rslora, self.seed = use_rslora, seed
        self.scale = alpha / (math.sqrt(rank) if use_rslora else rank)
        self.input_dropout = keras.layers.Dropout(
            dropout, seed=seed, dtype=self.dtype_policy
        )
        # The update belongs before the activation: after a GELU it could not merge.
        self.activation = layer.activation
        layer.activation = keras.activations.linear
        self._kept: dict[str, Any] = {}

    def build(self, input_shape: Any) -> None:
        """Makes A and B on the flattened (in, out) matrix of the kernel."""
        if not self.layer.built:
            self.layer.build(input_shape)
        for variable in self.layer.weights:
            variable.trainable = False
        inputs, outputs = self.matrix_shape
        bound = 1 / math.sqrt(inputs)
        self.lora_a = self.add_weight(
            name="lora_a",
            shape=(inputs, self.rank),
            initializer=keras.initializers.RandomUniform(-bound, bound, seed=self.seed),
            dtype="float32",
        )
        self.lora_b = self.add_weight(
            name="lora_b",
            shape=(self.rank, outputs),
            initializer="zeros",
            dtype="float32",
        )
        self.built = True

    @property
    def adapter_variables(self) -> list[Any]:
        """A and B."""
        return [self.lora_a, self.lora_b]

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """The kernel's shape as one matrix, (in, out)."""
        raise NotImplementedError

    def branch(self, x: Any) -> Any:
        """Returns the update of the outputs, in their shape."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the wrapped layer's output plus the update, then the activation."""
        outputs = self.layer(inputs)
        if not self._kept:
            dropped = self.input_dropout(inputs, training=training)
            outputs = ops.add(outputs, self.branch(dropped))
        return self.activation(outputs)

    def delta(self) -> Any:
        """Returns s·A·B in the shape of the kernel."""
        product = ops.matmul(self.lora_a, self.lora_b) * self.scale
        return ops.reshape(product, self.layer.kernel.shape)

    def merge(self) -> None:
        """Adds the update to the kernel and sets B to zero, so it counts once.

        B must be zero and not merely ignored: functions traced before the merge
        still compute the branch.
        """
        kernel = self.layer.kernel
        self._kept = {
            "kernel": ops.convert_to_numpy(kernel),
            "b": ops.convert_to_numpy(self.lora_b),
        }
        kernel.assign(
            ops.cast(ops.cast(kernel, "float32") + self.delta(), kernel.dtype)
        )
        self.lora_b.assign(ops.zeros_like(self.lora_b))

    def unmerge(self) -> None:
        """Puts back the kernel and B that `merge` kept, bit for bit."""
        self.layer.kernel.assign(self._kept["kernel"])
        self.lora_b.assign(self._kept["b"])
        self._kept = {}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the wrapped layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the activation back in its layer."""
        inner = keras.saving.serialize_keras_object(self.layer)
        inner["config"]["activation"] = keras.activations.serialize(self.activation)
        return {
            **super().get_config(),
            "layer": inner,
            "rank": self.rank,
            "alpha": self.alpha,
            "dropout": self.dropout,
            "use_rslora": self.use_rslora,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LoRALayer:
        """Returns a layer from `get_config`."""
        inner = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": inner})


@keras.saving.register_keras_serializable("tfft")
class LoRADense(LoRALayer):
    """A `Dense` with a low-rank side branch (Hu et al., 2021, section 4.1).

    Args:
        layer: The `Dense` to adapt, built or not. Its weights freeze, and its
            activation moves behind the sum.
        rank: Rank of the update. Defaults to 8.
        alpha: Scale numerator. Defaults to 16.
        dropout: Share of the branch's inputs dropped in training. Defaults to 0.
        use_rslora: Scale by alpha/sqrt(rank). Defaults to False.
        seed: For A and for dropout.
        **options: Those of every Keras layer.

    >>> import numpy as np
    >>> dense = keras.layers.Dense(3)
    >>> adapted = LoRADense(dense, rank=2)
    >>> x = np.ones((1, 4), "float32")
    >>> bool((adapted(x) == dense(x)).numpy().all())  # identity at the start
    True
    >>> [tuple(v.shape) for v in adapted.trainable_variables]
    [(4, 2), (2, 3)]
    """

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """The kernel's own shape."""
        return tuple(self.layer.kernel.shape)

    def branch(self, x: Any) -> Any:
        """Returns s·(x·A)·B."""
        return low_rank(x, self.lora_a, self.lora_b, self.scale)


@keras.saving.register_keras_serializable("tfft")
class LoRAEinsumDense(LoRALayer):
    """An `EinsumDense` with a low-rank side branch, as attention has them.

    A and B factor the flattened (in, out) matrix, as PEFT's do: for a query kernel
    of shape (hidden, heads, head size) A is (hidden, rank) and B is
    (rank, heads·head size); for the attention output with kernel (heads, head
    size, hidden), A is (heads·head size, rank).

    Args:
        layer: The `EinsumDense` to adapt. Its equation must contract the last axes
            of the input with the first of the kernel, as in `abc,cde->abde`.
        rank: Rank of the update. Defaults to 8.
        alpha: Scale numerator. Defaults to 16.
        dropout: Share of the branch's inputs dropped in training. Defaults to 0.
        use_rslora: Scale by alpha/sqrt(rank). Defaults to False.
        seed: For A and for dropout.
        **options: Those of every Keras layer.

    Raises:
        ConfigError: For an equation of another form.
    """

    def __init__(
        self, layer: keras.layers.EinsumDense, *args: Any, **options: Any
    ) -> None:
        self._contracted = contracted_axes(layer.equation)
        super().__init__(layer, *args, **options)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """The kernel's shape with its input axes flattened, and its output axes."""
        shape = self.layer.kernel.shape
        return (
            math.prod(shape[: self._contracted]),
            math.prod(shape[self._contracted :]),
        )

    def branch(self, x: Any) -> Any:
        """Returns s·(x·A)·B with the axes that the equation gives."""
        leading = ops.shape(x)[: -self._contracted]
        flat = ops.reshape(x, (*leading, self.matrix_shape[0]))
        update = low_rank(flat, self.lora_a, self.lora_b, self.scale)
        return ops.reshape(
            update, (*leading, *self.layer.kernel.shape[self._contracted :])
        )


def contracted_axes(equation: str) -> int:
    """Returns how many axes an einsum equation sums over.

    Raises:
        ConfigError: Unless it has the form (x, in), (in, out) -> (x, out).

    >>> contracted_axes("abc,cde->abde"), contracted_axes("abcd,cde->abe")
    (1, 2)
    """
    operands, outputs = equation.replace(" ", "").split("->")
    inputs, kernel = operands.split(",")
    count = sum(letter not in outputs for letter in kernel)
    expected = inputs[: len(inputs) - count] + kernel[count:]
    if count == 0 or inputs[-count:] != kernel[:count] or outputs != expected:
        raise ConfigError(
            f"einsum equation {equation!r}",
            where="LoRAEinsumDense",
            expected="(x, in), (in, out) -> (x, out), as abc,cde->abde",
            fix="leave this layer out of the targets",
        )
    return count


def _float_policy(layer: keras.layers.Layer) -> keras.DTypePolicy:
    """Returns a policy without quantisation: the branch computes in floats."""
    if layer.quantization_mode is None:
        return layer.dtype_policy
    return keras.DTypePolicy(layer.compute_dtype)


def lora_around(layer: keras.layers.Layer, **options: Any) -> LoRALayer:
    """Returns the LoRA layer for a `Dense` or an `EinsumDense`.

    Raises:
        ConfigError: For a layer of another kind.
    """
    for kind, wrapper in _WRAPPERS.items():
        if isinstance(layer, kind):
            return wrapper(layer, **options)
    raise ConfigError(
        f"{layer.path} is a {type(layer).__name__}",
        where="LoRA.target",
        expected="a Dense or EinsumDense layer",
        fix="leave it out of the targets",
    )


_WRAPPERS = {
    keras.layers.EinsumDense: LoRAEinsumDense,
    keras.layers.Dense: LoRADense,
}
