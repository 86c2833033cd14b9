"""What tfft knows of an architecture: its named places and its checkpoint names."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tfft.core.errors import ConfigError
from tfft.core.registry import Registry

Kind = Literal["linear", "norm", "embedding"]

ARCHITECTURES = Registry("architecture", "tfft.models")

_WEIGHTS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "linear": (("kernel", "weight"), ("bias", "bias")),
    "norm": (("gamma", "weight"), ("beta", "bias")),
    "embedding": (("embeddings", "weight"),),
}


@dataclass(frozen=True)
class Place:
    """A layer with weights, by the three names it goes by.

    Attributes:
        name: tfft's name, `layers.3.attention.query` or `pooler`.
        path: The Keras layer path below the backbone.
        theirs: The Hugging Face module name, without the model's prefix.
        kind: Which weights it has.
    """

    name: str
    path: str
    theirs: str
    kind: Kind = "linear"

    @property
    def names(self) -> tuple[str, str, str]:
        """Every name that a target pattern may use, in dots."""
        return self.name, self.theirs, self.path.replace("/", ".")

    def weights(self) -> Iterator[tuple[str, str]]:
        """Yields pairs of Keras variable path and Hugging Face tensor name."""
        for ours, theirs in _WEIGHTS[self.kind]:
            yield f"{self.path}/{ours}", f"{self.theirs}.{theirs}"

    def at(self, index: int) -> Place:
        """Returns the place of one layer from a template with `{i}`."""
        return Place(
            self.name.format(i=index),
            self.path.format(i=index),
            self.theirs.format(i=index),
            self.kind,
        )


class Architecture(abc.ABC):
    """One family of backbones; a file of its own that registers itself.

    Attributes:
        backbone_class: Name of the KerasHub class.
        prefix: What a Hugging Face checkpoint with a head puts before the names.
        once: The places outside the layers.
        per_layer: The places of one layer, with `{i}` for its index.
        default_targets: Where adapters go when the user names no place; PEFT's.
        optional: Places whose weights a checkpoint may lack, as a masked
            language model lacks the pooler. They start at random, so they train.
        top: Places above the stack, which train when its last layers do.
    """

    backbone_class: ClassVar[str]
    prefix: ClassVar[str]
    once: ClassVar[tuple[Place, ...]]
    per_layer: ClassVar[tuple[Place, ...]]
    default_targets: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    top: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a backbone with random weights for a Hugging Face config."""

    @abc.abstractmethod
    def pooled(self, outputs: Any) -> Any:
        """Returns the (batch, hidden) summary among the outputs of the backbone."""

    def sequence(self, outputs: Any) -> Any:
        """Returns the (batch, length, hidden) states among the outputs."""
        return outputs["sequence_output"]

    def places(self, num_layers: int) -> list[Place]:
        """Returns every place of a backbone with that many layers."""
        repeated = [
            place.at(index) for index in range(num_layers) for place in self.per_layer
        ]
        return [*self.once, *repeated]

    def linear_places(self, num_layers: int) -> list[Place]:
        """Returns the linear layers inside the stack, where adapters can go."""
        return [
            place
            for place in self.places(num_layers)
            if place.kind == "linear" and place.name.startswith("layers.")
        ]


def architecture_of(backbone: Any) -> Architecture:
    """Returns the architecture of a KerasHub backbone.

    Raises:
        ConfigError: For a class tfft does not know.
    """
    class_names = [cls.__name__ for cls in type(backbone).__mro__]
    known = [ARCHITECTURES.get(name) for name in ARCHITECTURES.names()]
    for architecture in known:
        if architecture.backbone_class in class_names:
            return architecture()
    raise ConfigError(
        f"backbone of type {class_names[0]}",
        expected="one of: " + ", ".join(cls.backbone_class for cls in known),
        fix="choose a model of one of these families",
    )
