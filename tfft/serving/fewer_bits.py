"""The matrices of a backbone in fewer bits, for an export."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
from keras import ops

from tfft.adapters.layers.matrix import Matrix
from tfft.models.layers import spots
from tfft.models.precision import compute_policy, set_compute_policy
from tfft.tasks.served.endpoint import Endpoint, Endpoints

_POLICIES = {"bfloat16": "mixed_bfloat16"}


@contextlib.contextmanager
def in_fewer_bits(
    endpoints: Mapping[str, Endpoint], model: Any, backbone: Any, dtype: str
) -> Iterator[tuple[Endpoints, Any]]:
    """Has endpoints compute from matrices in fewer bits inside a `with` block.

    Args:
        endpoints: The endpoints by name, to be traced inside the block.
        model: The Keras model, which stays as it is.
        backbone: Its backbone, whose matrices are meant: heads are small, and two
            logits differ by little.
        dtype: `bfloat16` or `int8`.

    Yields:
        The endpoints, and the Keras layer that holds their weights.
    """
    weights = FewerBits(model, backbone, dtype)
    before = compute_policy(backbone)
    set_compute_policy(backbone, _POLICIES.get(dtype, before))
    try:
        yield {name: weights.endpoint(one) for name, one in endpoints.items()}, weights
    finally:
        set_compute_policy(backbone, before)


class FewerBits(keras.layers.Layer):
    """The weights of a model, the matrices of its backbone in fewer bits.

    bfloat16: kept and multiplied so. int8: kept as whole numbers, with a scale in
    float32 for each output of a linear layer and each row of an embedding, and
    multiplied in float32. Vectors (biases, norms) and the head stay in float32.

    Args:
        model: The model.
        backbone: Its backbone.
        dtype: `bfloat16` or `int8`.
    """

    def __init__(self, model: Any, backbone: Any, dtype: str) -> None:
        super().__init__(dtype="float32", name=f"weights_{dtype}")
        kept = {id(variable): variable for variable in model.variables}
        restored = []
        for variable, axes in _matrices(backbone):
            del kept[id(variable)]
            make = self._whole_numbers if dtype == "int8" else self._cast
            restored.append((variable, make(variable, axes)))
        self.kept = list(kept.values())
        # Behind a function, or the model's own would count as this layer's.
        self._restored = lambda: restored
        self.built = True

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Returns an endpoint that computes from these weights."""

        def compute(*given: Any) -> dict[str, Any]:
            with keras.StatelessScope() as scope:
                for variable, restore in self._restored():
                    scope.add_update((variable, restore()))
                return endpoint.compute(*given)

        return Endpoint(endpoint.inputs, compute)

    def _cast(self, variable: Any, axes: tuple[int, ...]) -> Callable[[], Any]:
        del axes
        stored = self._stored("bfloat16", ops.cast(variable.value, "bfloat16"))
        return lambda: ops.convert_to_tensor(stored.value)

    def _whole_numbers(self, variable: Any, axes: tuple[int, ...]) -> Callable[[], Any]:
        numbers, scale = keras.quantizers.abs_max_quantize(variable.value, axis=axes)
        stored, step = self._stored("int8", numbers), self._stored("float32", 1 / scale)
        return lambda: ops.cast(stored.value, "float32") * step.value

    def _stored(self, dtype: str, value: Any) -> Any:
        shape = tuple(value.shape)
        weight = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, dtype=dtype
        )
        weight.assign(value)
        return weight


def _matrices(backbone: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Returns the matrices, and the axes of each that share a scale."""
    linear = (keras.layers.Dense, keras.layers.EinsumDense)
    axes = {
        id(spot.layer.kernel): Matrix(spot.layer).input_axes
        for spot in spots(backbone)
        if isinstance(spot.layer, linear)
    }
    floats = {id(one): one for one in backbone.weights if "float" in one.dtype}
    return [
        (variable, axes.get(key, (-1,)))
        for key, variable in floats.items()
        if len(variable.shape) > 1
    ]
