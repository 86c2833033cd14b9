"""Named places inside a backbone, and the checkpoint tensors they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Kind = Literal["linear", "norm", "embedding"]
Layout = Literal["vector", "table", "out_in", "in_out"]


@dataclass(frozen=True)
class Part:
    """One of several equal shares of a fused tensor, cut along its outputs.

    Attributes:
        index: Which share, from 0.
        of: How many there are.
    """

    index: int = 0
    of: int = 1


WHOLE = Part()


@dataclass(frozen=True)
class Weight:
    """A variable, and the Hugging Face tensor or the part of one that it holds.

    Attributes:
        path: The Keras path of the variable below the backbone.
        theirs: The tensor's name, without the model's prefix.
        layout: How the tensor lies: a `vector`, a `table` with a row for each id, or
            a matrix, `out_in` as PyTorch's Linear or `in_out` as GPT-2's Conv1D.
        input_axes: How many leading axes of the variable are inputs; attention
            outputs have two, heads and head size.
        part: Its share of a fused tensor, such as GPT-2's c_attn.
    """

    path: str
    theirs: str
    layout: Layout
    input_axes: int = 1
    part: Part = WHOLE

    def tensor_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the whole tensor's shape for a variable of a shape.

        >>> Weight("q/kernel", "q.weight", "in_out", part=Part(0, 3)).tensor_shape(
        ...     (8, 2, 4))
        (8, 24)
        """
        if self.layout == "table":
            return tuple(shape)
        if self.layout == "vector":
            return (math.prod(shape) * self.part.of,)
        inputs = math.prod(shape[: self.input_axes])
        outputs = math.prod(shape[self.input_axes :]) * self.part.of
        return (inputs, outputs) if self.layout == "in_out" else (outputs, inputs)

    def to_keras(self, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Returns the variable's float32 value from the whole tensor."""
        if self.part != WHOLE:
            axis = 0 if self.layout == "out_in" else -1
            tensor = np.split(tensor, self.part.of, axis)[self.part.index]
        if self.layout == "out_in":
            tensor = tensor.T
        return np.asarray(tensor, "float32").reshape(shape)

    def from_keras(self, value: np.ndarray) -> np.ndarray:
        """Returns the tensor of a variable's value; of a fused one, its share."""
        share = replace(self, layout=_BEFORE_TRANSPOSE[self.layout], part=WHOLE)
        value = value.reshape(share.tensor_shape(value.shape))
        return value.T if self.layout == "out_in" else value


_BEFORE_TRANSPOSE: dict[Layout, Layout] = {
    "vector": "vector",
    "table": "table",
    "out_in": "in_out",
    "in_out": "in_out",
}


@dataclass(frozen=True)
class Place:
    """A layer with weights, by the three names it goes by.

    Attributes:
        name: tfft's name, `layers.3.attention.query` or `pooler`.
        path: The Keras layer path below the backbone.
        theirs: The Hugging Face module name, without the model's prefix.
        kind: What it does with its inputs.
        variables: Its variables: for each its Keras name, the end of the tensor's
            name, and the tensor's layout.
        input_axes: How many leading axes of the kernel are inputs.
        part: Its share of a fused module.
        beside: Whether Hugging Face stores it as a head next to the model, and so
            without the model's prefix.
    """

    name: str
    path: str
    theirs: str
    kind: Kind
    variables: tuple[tuple[str, str, Layout], ...]
    input_axes: int = 1
    part: Part = WHOLE
    beside: bool = False

    @property
    def names(self) -> tuple[str, str, str]:
        """Every name that a target pattern may use, in dots."""
        return self.name, self.theirs, self.path.replace("/", ".")

    def weights(self) -> Iterator[Weight]:
        """Yields its variables with their tensors."""
        for ours, theirs, layout in self.variables:
            yield Weight(
                f"{self.path}/{ours}",
                f"{self.theirs}.{theirs}",
                layout,
                self.input_axes,
                self.part,
            )

    def at(self, index: int) -> Place:
        """Returns the place of one layer from a template with `{i}`."""
        return replace(
            self,
            name=self.name.format(i=index),
            path=self.path.format(i=index),
            theirs=self.theirs.format(i=index),
        )


def linear(
    name: str,
    path: str,
    theirs: str,
    *,
    bias: bool = True,
    input_axes: int = 1,
    layout: Layout = "out_in",
    part: Part = WHOLE,
) -> Place:
    """Returns the place of a `Dense` or `EinsumDense`."""
    variables: tuple[tuple[str, str, Layout], ...] = (("kernel", "weight", layout),)
    if bias:
        variables = (*variables, ("bias", "bias", "vector"))
    return Place(name, path, theirs, "linear", variables, input_axes, part)


def norm(name: str, path: str, theirs: str) -> Place:
    """Returns the place of a layer norm with scale and offset."""
    variables = (("gamma", "weight", "vector"), ("beta", "bias", "vector"))
    return Place(name, path, theirs, "norm", variables)


def rms_norm(name: str, path: str, theirs: str) -> Place:
    """Returns the place of a root mean square norm, which has a scale alone."""
    return Place(name, path, theirs, "norm", (("scale", "weight", "vector"),))


def embedding(name: str, path: str, theirs: str) -> Place:
    """Returns the place of a table with a row for each id."""
    return Place(name, path, theirs, "embedding", (("embeddings", "weight", "table"),))


def language_head(path: str, theirs: str) -> Place:
    """Returns the place of an untied output embedding, named `head`."""
    variables = (("reverse_embeddings", "weight", "out_in"),)
    return Place("head", path, theirs, "embedding", variables, beside=True)
