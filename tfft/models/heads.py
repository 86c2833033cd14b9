"""Converts a linear head into the layers of a transformers class.

Some classes have a layer with an activation before the last one. Its weights are then
chosen so that the two layers compute the same as the one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

# (8·tanh(εz) - tanh(2εz)) / 6ε equals z up to ε⁴·z⁵/2: 4e-7 for z = 5. A smaller ε
# would push weights out of the range of float16.
_STEP = 2.0**-8


class Linear(NamedTuple):
    """A dense layer in PyTorch's layout.

    Attributes:
        weight: Shape (outputs, inputs).
        bias: Shape (outputs,).
    """

    weight: np.ndarray
    bias: np.ndarray

    def by_name(self) -> dict[str, np.ndarray]:
        """Returns weight and bias by their names in a state dict."""
        return {"weight": self.weight, "bias": self.bias}


Layers = Mapping[str, Linear]
Arrange = Callable[[tuple[str, ...], Linear], Layers | None]


def one_layer(modules: tuple[str, ...], head: Linear) -> Layers:
    """Returns the head as the only layer of the class.

    Args:
        modules: The name of that layer.
        head: The head.
    """
    [module] = modules
    return {module: head}


def through_relu(modules: tuple[str, ...], head: Linear) -> Layers | None:
    """Returns two layers with ReLU between them that compute the head exactly.

    z = relu(z) - relu(-z), so each output needs two units of the first layer.

    Args:
        modules: The names of both layers; the first is as wide as its inputs.
        head: The head.

    Returns:
        Both layers; None when the first has too few units.

    >>> head = Linear(np.array([[1.0, -2.0]]), np.array([0.5]))
    >>> first, second = through_relu(("a", "b"), head).values()
    >>> hidden = np.maximum(first.weight @ [1.0, 3.0] + first.bias, 0)
    >>> (second.weight @ hidden + second.bias).tolist()
    [-4.5]
    """
    return _in_pairs(modules, head, (1.0, -1.0), (1.0, -1.0))


def through_tanh(modules: tuple[str, ...], head: Linear) -> Layers | None:
    """Returns two layers with tanh between them that compute the head up to rounding.

    Each output needs two units in the nearly linear middle of tanh. Combined, they
    cancel its cubic term.

    Args:
        modules: The names of both layers; the first is as wide as its inputs.
        head: The head.

    Returns:
        Both layers; None when the first has too few units.

    >>> head = Linear(np.array([[1.0, -2.0]]), np.array([0.5]))
    >>> first, second = through_tanh(("a", "b"), head).values()
    >>> hidden = np.tanh(first.weight @ [1.0, 3.0] + first.bias)
    >>> (second.weight @ hidden + second.bias).round(6).tolist()
    [-4.5]
    """
    scale = 6 * _STEP
    return _in_pairs(modules, head, (_STEP, 2 * _STEP), (8 / scale, -1 / scale))


def _in_pairs(
    modules: tuple[str, ...],
    head: Linear,
    before: tuple[float, float],
    after: tuple[float, float],
) -> Layers | None:
    """Returns two layers: two units for each output, all other units 0.

    Args:
        modules: The names of both layers.
        head: The head.
        before: Factors of the head for the first and the second unit.
        after: Factors of the two units in the output.
    """
    outputs, width = head.weight.shape
    if 2 * outputs > width:
        return None
    weight, bias = np.zeros((width, width)), np.zeros(width)
    last = np.zeros((outputs, width))
    for unit, (factor, back) in enumerate(zip(before, after, strict=True)):
        rows = slice(unit * outputs, (unit + 1) * outputs)
        weight[rows], bias[rows] = factor * head.weight, factor * head.bias
        last[:, rows] = back * np.eye(outputs)
    first, second = modules
    return {first: Linear(weight, bias), second: Linear(last, np.zeros(outputs))}
