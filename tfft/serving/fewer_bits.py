"""Exports with the backbone's matrices in bfloat16 or int8."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
from keras import ops

from tfft.compute.layers import spots
from tfft.compute.precision import compute_policy, set_compute_policy
from tfft.methods.layers.matrix import Matrix
from tfft.tasks.endpoint import Endpoint, Endpoints


@contextlib.contextmanager
def in_fewer_bits(
    endpoints: Mapping[str, Endpoint], backbone: Any, dtype: str
) -> Iterator[Endpoints]:
    """Yields endpoints that read a backbone's matrices in fewer bits.

    Trace them inside the block. The backbone does not change. Vectors (biases, norms)
    stay in float32, and so does the head, because logits may differ by little.

    Args:
        endpoints: The endpoints by name.
        backbone: The backbone of their network.
        dtype: `bfloat16`, stored and multiplied in bfloat16; or `int8`, stored as
            integers with a scale for each output of a linear layer and each row of an
            embedding, and multiplied in float32.
    """
    keep = {"bfloat16": _as_bfloat16, "int8": _as_int8}[dtype]
    restored = [(one, keep(one.value, axes)) for one, axes in _matrices(backbone)]
    before = compute_policy(backbone)
    set_compute_policy(backbone, "mixed_bfloat16" if dtype == "bfloat16" else before)
    try:
        yield {name: _reading(restored, one) for name, one in endpoints.items()}
    finally:
        set_compute_policy(backbone, before)


def _reading(
    restored: list[tuple[Any, Callable[[], Any]]], endpoint: Endpoint
) -> Endpoint:
    """Returns an endpoint that reads other values in place of some variables."""

    def compute(*given: Any) -> dict[str, Any]:
        with keras.StatelessScope() as scope:
            for variable, value in restored:
                scope.add_update((variable, value()))
            return endpoint.compute(*given)

    return Endpoint(endpoint.inputs, compute)


def _as_bfloat16(matrix: Any, axes: tuple[int, ...]) -> Callable[[], Any]:
    del axes
    kept = _constant(ops.cast(matrix, "bfloat16"), "bfloat16")
    return lambda: ops.convert_to_tensor(kept.value)


def _as_int8(matrix: Any, axes: tuple[int, ...]) -> Callable[[], Any]:
    numbers, scale = keras.quantizers.abs_max_quantize(matrix, axis=axes)
    kept, step = _constant(numbers, "int8"), _constant(1 / scale, "float32")
    return lambda: ops.cast(kept.value, "float32") * step.value


def _constant(value: Any, dtype: str) -> Any:
    return keras.Variable(value, dtype=dtype, trainable=False)


def _matrices(backbone: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Returns the matrices, and the axes of each that share a scale."""
    kinds = (keras.layers.Dense, keras.layers.EinsumDense)
    linear = [one.layer for one in spots(backbone) if isinstance(one.layer, kinds)]
    axes = {id(one.kernel): Matrix(one).input_axes for one in linear}
    # Biases of attention have two axes, but they are vectors too.
    biases = {id(one.bias) for one in linear}
    return [
        (one, axes.get(id(one), (-1,)))
        for one in backbone.weights
        if "float" in one.dtype and len(one.shape) > 1 and id(one) not in biases
    ]
