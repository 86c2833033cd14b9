"""LoRA as Keras layers: a low-rank side branch around a frozen layer."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfft.compute.dropout import BYTE_DRAWS
from tfft.compute.processor import is_for_processor
from tfft.methods.combine import Factors
from tfft.methods.layers.lora_starts import STARTS
from tfft.methods.layers.lora_variants import VARIANTS
from tfft.methods.layers.low_rank import low_rank, with_low_rank
from tfft.methods.layers.wrapper import Wrapper


def scale_of(rank: int, alpha: float, use_rslora: bool) -> float:
    """Returns the factor s of the update."""
    return alpha / (math.sqrt(rank) if use_rslora else rank)


class LoRALayer(Wrapper):
    """The base of both LoRA layers; use `LoRADense` or `LoRAEinsumDense`."""

    def __init__(
        self,
        layer: keras.layers.Layer,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        use_rslora: bool = False,
        use_dora: bool = False,
        initialization: str = "uniform",
        start: tuple[np.ndarray, np.ndarray] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(layer, **options)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.use_rslora, self.use_dora = use_rslora, use_dora
        self.initialization = initialization
        self.scale: Any = scale_of(rank, alpha, use_rslora)
        self.input_dropout = keras.layers.Dropout(
            dropout, seed=self.seed, dtype=self.dtype_policy
        )
        BYTE_DRAWS.apply(self.input_dropout)
        self._variant, self._start = VARIANTS[use_dora], STARTS[initialization]
        self._given = start

    def set_scale(self, scale: float) -> None:
        """Sets another scale, which takes effect without a new trace.

        Call this once before the layer is traced: the first call turns the scale into
        a variable.
        """
        if isinstance(self.scale, tf.Variable):
            self.scale.assign(scale)
        else:
            self.scale = tf.Variable(scale, trainable=False, name="lora_scale")

    def make_weights(self) -> None:
        """Creates A and B for the kernel as a flattened (in, out) matrix."""
        inputs, outputs = self.matrix.shape
        self.lora_a = self.shared_weight("lora_a", (inputs, self.rank))
        self.lora_b = self.own_weight("lora_b", (self.rank, outputs), "zeros")
        self._begin()
        self._variant.make_weights(self)

    def _begin(self) -> None:
        A, B = self._given or self._start.values(self, self.seed)
        self._given = None
        if not self.shares:
            self.lora_a.assign(A)
        self.lora_b.assign(B)
        if self._start.subtracts:
            frozen = {"initializer": "zeros", "trainable": False}
            self.first_a = self.own_weight("first_a", A.shape, **frozen)
            self.first_b = self.own_weight("first_b", B.shape, **frozen)
            self.first_a.assign(A)
            self.first_b.assign(B)

    @property
    def adapter_variables(self) -> list[Any]:
        """A, B and the weights of the variant."""
        return [self.lora_a, self.lora_b, *self._variant.variables(self)]

    @property
    def first(self) -> list[Any]:
        """The frozen initial A and B, if their product is subtracted; else empty."""
        return [self.first_a, self.first_b] if self._start.subtracts else []

    def factors(self) -> tuple[Any, Any]:
        """Returns the A and B whose product is the whole update, start included."""
        if not self.first:
            return self.lora_a, self.lora_b
        first_a, first_b = self.first
        return (
            ops.concatenate([self.lora_a, first_a], axis=1),
            ops.concatenate([self.lora_b, -first_b], axis=0),
        )

    def update(self) -> Factors | None:
        """Returns A, B and s; None with DoRA, whose update is not s·A·B alone."""
        if not self._variant.adds:
            return None
        return Factors(*map(np.array, self.factors()), self.scale)

    def branch(self, x: Any) -> Any:
        """Returns the update s·(x·A)·B of the outputs, shape (..., out)."""
        flat = self.matrix.flatten(x)
        update = low_rank(flat, self.lora_a, self.lora_b, self.scale)
        if not self.first:
            return update
        # Subtracted here and not in `factors`: so the first update is exactly zero.
        return update - low_rank(flat, *self.first, self.scale)

    def adapted(self, inputs: Any, training: bool | None) -> Any:
        """Returns the wrapped layer's outputs with the update."""
        if is_for_processor() and self._is_one_product(training):
            matrix = self.matrix
            kernel = ops.reshape(self.base.kernel, matrix.shape)
            own, factors = (kernel, matrix.bias()), (self.lora_a, self.lora_b)
            flat = matrix.flatten(inputs)
            return matrix.unflatten(with_low_rank(flat, *own, *factors, self.scale))
        outputs = self.matrix.flatten_outputs(self.layer(inputs))
        update = self.branch(self.input_dropout(inputs, training=training))
        return self.matrix.unflatten(self._variant.joined(self, outputs, update))

    def _is_one_product(self, training: bool | None) -> bool:
        """Returns whether to compute layer and update as one product.

        Only in training: a single text would pay for the copy of the kernel.
        """
        frozen = self.base.quantization_mode is None and not self.base.kernel.trainable
        plain = self._variant.adds and not self.first and self.layer is self.base
        return plain and frozen and not self.dropout and training is not False

    def delta_matrix(self) -> Any:
        """Returns s·A·B, shape (in, out)."""
        return ops.matmul(*self.factors()) * self.scale

    def merged_values(self) -> list[tuple[Any, Any]]:
        """Returns the kernel with the update added."""
        merged = self._variant.merged(self)
        return [(self.base.kernel, self.matrix.as_kernel(merged))]

    def neutral(self) -> list[tuple[Any, Any]]:
        """Returns a B of zeros; A may also belong to another layer."""
        zeroed = [self.lora_b, *self.first[1:]]
        pairs = [(variable, ops.zeros_like(variable)) for variable in zeroed]
        return [*pairs, *self._variant.neutral(self)]

    def own_config(self) -> dict[str, Any]:
        """Returns LoRA's options."""
        return {
            "rank": self.rank,
            "alpha": self.alpha,
            "dropout": self.dropout,
            "use_rslora": self.use_rslora,
            "use_dora": self.use_dora,
            "initialization": self.initialization,
        }


@keras.saving.register_keras_serializable("tfft")
class LoRADense(LoRALayer):
    """A `Dense` with a low-rank side branch (Hu et al., 2021, section 4.1).

    Args:
        layer: The `Dense` to adapt, built or not. Its weights freeze, and its
            activation is applied after the update is added.
        rank: Rank of the update. Defaults to 8.
        alpha: Scale numerator. Defaults to 16.
        dropout: Fraction of the branch's inputs dropped in training. Defaults to 0.
        use_rslora: Scale by alpha/sqrt(rank). Defaults to False.
        use_dora: Learn the magnitude of each output separately. Defaults to False.
        initialization: `uniform` or `pissa`. Defaults to `uniform`.
        shared: A layer whose A this one also uses. Defaults to None.
        start: The initial A and B. Defaults to those of `initialization`.
        seed: Seed for A and for dropout.
        **options: Those of every Keras layer.

    >>> import numpy as np
    >>> dense = keras.layers.Dense(3)
    >>> adapted = LoRADense(dense, rank=2)
    >>> x = np.ones((1, 4), "float32")
    >>> bool((adapted(x) == dense(x)).numpy().all())  # equal at the start
    True
    >>> [tuple(v.shape) for v in adapted.trainable_variables]
    [(4, 2), (2, 3)]
    """


@keras.saving.register_keras_serializable("tfft")
class LoRAEinsumDense(LoRALayer):
    """An `EinsumDense` with a low-rank side branch, as used in attention.

    A and B factor the flattened (in, out) matrix, as in PEFT: for a query kernel of
    shape (hidden, heads, head size) A is (hidden, rank) and B is (rank, heads·head
    size); for the attention output with kernel (heads, head size, hidden), A is
    (heads·head size, rank).

    Args:
        layer: The `EinsumDense` to adapt. Its equation must contract the last axes
            of the input with the first of the kernel, as in `abc,cde->abde`.
        rank: Rank of the update. Defaults to 8.
        alpha: Scale numerator. Defaults to 16.
        dropout: Fraction of the branch's inputs dropped in training. Defaults to 0.
        use_rslora: Scale by alpha/sqrt(rank). Defaults to False.
        use_dora: Learn the magnitude of each output separately. Defaults to False.
        initialization: `uniform` or `pissa`. Defaults to `uniform`.
        shared: A layer whose A this one also uses. Defaults to None.
        start: The initial A and B. Defaults to those of `initialization`.
        seed: Seed for A and for dropout.
        **options: Those of every Keras layer.

    Raises:
        ConfigError: For any other equation.
    """


def lora_around(layer: keras.layers.Layer, **options: Any) -> LoRALayer:
    """Returns the LoRA layer for a `Dense`, an `EinsumDense` or a wrapper of one.

    Raises:
        ConfigError: For any other layer.
    """
    base = layer.base if isinstance(layer, Wrapper) else layer
    einsum = isinstance(base, keras.layers.EinsumDense)
    return (LoRAEinsumDense if einsum else LoRADense)(layer, **options)
