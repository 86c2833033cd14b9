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
class Share:
    """One of several equal shares of a fused tensor, split along its outputs.

    Attributes:
        index: Index of the share, from 0.
        of: Number of shares.
    """

    index: int = 0
    of: int = 1


WHOLE = Share()


@dataclass(frozen=True)
class Weight:
    """A variable, and the Hugging Face tensor, or the share of one, that it holds.

    Attributes:
        path: The Keras path of the variable below the backbone.
        theirs: The tensor's name, without the model's prefix.
        layout: The tensor's layout: a `vector`, a `table` with a row for each id, or a
            matrix, either `out_in` like PyTorch's Linear or `in_out` like GPT-2's
            Conv1D.
        input_axes: Number of leading axes of the variable that are inputs; attention
            outputs have two, heads and head size.
        share: Its share of a fused tensor, such as GPT-2's c_attn.
    """

    path: str
    theirs: str
    layout: Layout
    input_axes: int = 1
    share: Share = WHOLE

    def tensor_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the whole tensor for a variable of the given shape.

        >>> Weight("q/kernel", "q.weight", "in_out", share=Share(0, 3)).tensor_shape(
        ...     (8, 2, 4))
        (8, 24)
        """
        if self.layout == "table":
            return tuple(shape)
        if self.layout == "vector":
            return (math.prod(shape) * self.share.of,)
        inputs = math.prod(shape[: self.input_axes])
        outputs = math.prod(shape[self.input_axes :]) * self.share.of
        return (inputs, outputs) if self.layout == "in_out" else (outputs, inputs)

    def to_keras(self, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Converts the whole tensor to the variable's float32 value."""
        if self.share != WHOLE:
            axis = 0 if self.layout == "out_in" else -1
            tensor = np.split(tensor, self.share.of, axis)[self.share.index]
        if self.layout == "out_in":
            tensor = tensor.T
        return np.asarray(tensor, "float32").reshape(shape)

    def from_keras(self, value: np.ndarray) -> np.ndarray:
        """Converts a variable's value to its tensor, or to its share of a fused one."""
        own = replace(self, layout=_BEFORE_TRANSPOSE[self.layout], share=WHOLE)
        value = value.reshape(own.tensor_shape(value.shape))
        return value.T if self.layout == "out_in" else value


_BEFORE_TRANSPOSE: dict[Layout, Layout] = {
    "vector": "vector",
    "table": "table",
    "out_in": "in_out",
    "in_out": "in_out",
}


@dataclass(frozen=True)
class Place:
    """A layer with weights, and its names in tfft, Keras and Hugging Face.

    Attributes:
        name: tfft's name, `layers.3.attention.query` or `pooler`.
        path: The Keras layer path below the backbone.
        theirs: The Hugging Face module name, without the model's prefix.
        kind: The kind of layer.
        variables: For each variable its Keras name, the last word of the tensor's
            name, and the tensor's layout.
        input_axes: Number of leading axes of the kernel that are inputs.
        share: Its share of a fused module.
        without_prefix: Whether Hugging Face's names lack the model's prefix, as those
            of a head next to the model do.
    """

    name: str
    path: str
    theirs: str
    kind: Kind
    variables: tuple[tuple[str, str, Layout], ...]
    input_axes: int = 1
    share: Share = WHOLE
    without_prefix: bool = False

    @property
    def names(self) -> tuple[str, str, str]:
        """The names that a target pattern may match, separated by dots."""
        return self.name, self.theirs, self.path.replace("/", ".")

    def weights(self) -> Iterator[Weight]:
        """Yields the layer's variables with their tensors."""
        for ours, theirs, layout in self.variables:
            yield Weight(
                f"{self.path}/{ours}",
                f"{self.theirs}.{theirs}",
                layout,
                self.input_axes,
                self.share,
            )

    def at(self, index: int) -> Place:
        """Fills a template with `{i}` with the index of a layer."""
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
    share: Share = WHOLE,
) -> Place:
    """Returns the place of a `Dense` or `EinsumDense`."""
    variables: tuple[tuple[str, str, Layout], ...] = (("kernel", "weight", layout),)
    if bias:
        variables = (*variables, ("bias", "bias", "vector"))
    return Place(name, path, theirs, "linear", variables, input_axes, share)


def norm(name: str, path: str, theirs: str) -> Place:
    """Returns the place of a layer norm, which has a scale and an offset."""
    variables = (("gamma", "weight", "vector"), ("beta", "bias", "vector"))
    return Place(name, path, theirs, "norm", variables)


def rms_norm(name: str, path: str, theirs: str) -> Place:
    """Returns the place of a root mean square norm, which has only a scale."""
    return Place(name, path, theirs, "norm", (("scale", "weight", "vector"),))


def embedding(name: str, path: str, theirs: str) -> Place:
    """Returns the place of an embedding table, with a row for each id."""
    return Place(name, path, theirs, "embedding", (("embeddings", "weight", "table"),))


def language_head(path: str, theirs: str) -> Place:
    """Returns the place of an untied output embedding, named `head`."""
    variables = (("reverse_embeddings", "weight", "out_in"),)
    return Place("head", path, theirs, "embedding", variables, without_prefix=True)
