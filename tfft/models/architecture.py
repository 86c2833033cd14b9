"""The base class of architectures: their named places and checkpoint names."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tfft.core.errors import ConfigError
from tfft.core.model_config import Pooling
from tfft.core.registry import Registry
from tfft.models.heads import Arrange, one_layer
from tfft.models.places import Place

ARCHITECTURES = Registry("architecture", "tfft.models")


class Form(NamedTuple):
    """A class of transformers that holds a backbone of the family.

    Attributes:
        name: The class.
        modules: The layers of its head, by their names.
        without: Optional places that it lacks.
        prefixed: Whether it puts the prefix before the backbone's names.
        prefix: Another prefix than the family's; None for the same.
        pooling: The summary of a text that its head takes; None for a head that takes
            the state of each token.
        arrange: How its layers compute a linear head.
        generates: Whether it generates text.
    """

    name: str
    modules: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    prefixed: bool = True
    prefix: str | None = None
    pooling: Pooling | None = None
    arrange: Arrange = one_layer
    generates: bool = False


class Architecture(abc.ABC):
    """One family of backbones; a file of its own that registers itself.

    The names of places are the same in every family: `layers.3.attention.query`,
    `.key`, `.value`, `.output` and `.norm`, `layers.3.ffn.up`, `.down`, `.norm`, and
    `.gate` where there is one; outside the layers `embeddings.token` and, where the
    family has them, `embeddings.position`, `embeddings.segment`, `embeddings.norm`,
    `norm`, `pooler` and `head`.

    Attributes:
        backbone_class: Name of the KerasHub class.
        prefix: What a Hugging Face checkpoint with a head puts before the names.
        inputs: What a batch must hold.
        causal: Whether a token sees only those before it, so that the backbone is a
            language model.
        poolings: The ways to sum up a text, the family's own first.
        once: The places outside the layers.
        per_layer: The places of one layer, with `{i}` for its index.
        default_targets: Where adapters go when the user names no place; PEFT's.
        optional: Places that only some tasks use, as a language model does not use
            the pooler. A checkpoint may lack their weights: they then start at
            random, so they train.
        top: Places above the stack, which train when its last layers do.
        heads: Regular expressions for the tensors of a task's head.
        aside: The same for tensors that tfft has no use for and says so.
        copies: Tensors that are the same as another: that other's name.
        unused: Regular expressions for the tensors that checkpoints hold and nothing
            needs, such as a table of positions 0, 1, 2, ….
        dropout_keys: The keys of the config that hold dropout rates.
        defaults: The sizes that transformers takes where a config says none.
        other_names: Keys that transformers also accepts, and the key of the family
            that each stands for.
        forms: The classes of transformers, by PEFT's name of what they are for;
            those whose head tfft's tasks have.
        tokenizer_class: The tokenizer class of transformers for folders that name
            none.
        one_tokenizer: Whether transformers takes that class even if a folder names
            another one.
    """

    backbone_class: ClassVar[str]
    prefix: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("token_ids", "padding_mask")
    causal: ClassVar[bool]
    poolings: ClassVar[tuple[Pooling, ...]]
    once: ClassVar[tuple[Place, ...]]
    per_layer: ClassVar[tuple[Place, ...]]
    default_targets: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    top: ClassVar[tuple[str, ...]] = ()
    heads: ClassVar[tuple[str, ...]] = (r"(classifier|score|qa_outputs)\..+",)
    aside: ClassVar[tuple[str, ...]] = ()
    copies: ClassVar[Mapping[str, str]] = {}
    unused: ClassVar[tuple[str, ...]] = ()
    dropout_keys: ClassVar[tuple[str, ...]]
    defaults: ClassVar[Mapping[str, int]]
    other_names: ClassVar[Mapping[str, str]] = {}
    forms: ClassVar[Mapping[str, Form]]
    tokenizer_class: ClassVar[str] = "TokenizersBackend"
    one_tokenizer: ClassVar[bool] = False

    def completed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a config with the family's keys and transformers' default sizes."""
        renamed = {
            ours: config[theirs]
            for theirs, ours in self.other_names.items()
            if theirs in config
        }
        return {**self.defaults, **config, **renamed}

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the classes of the family put before the backbone's names."""
        others = (form.prefix for form in self.forms.values())
        return (self.prefix, *dict.fromkeys(one for one in others if one is not None))

    @abc.abstractmethod
    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a backbone with random weights for a Hugging Face config."""

    @abc.abstractmethod
    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the Hugging Face config of a backbone that came without one."""

    @abc.abstractmethod
    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the most tokens of a text for a Hugging Face config."""

    @abc.abstractmethod
    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns a number of weights that the config's backbone has at least.

        A config may come from anyone: one that describes more than the weights hold
        is refused before memory is taken for it.
        """

    def adapt(
        self, tensors: dict[str, np.ndarray], config: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Returns a checkpoint's tensors, by plain names, as the places expect them.

        For a family whose KerasHub class computes with fewer weights.
        """
        return tensors

    def restore(
        self, tensors: dict[str, np.ndarray], config: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Returns tensors of the places as Hugging Face's class expects them."""
        return tensors

    def sequence(self, outputs: Any) -> Any:
        """Returns the (batch, length, hidden) states among the backbone's outputs."""
        return outputs

    def pooled(self, outputs: Any) -> Any:
        """Returns the (batch, hidden) summary of a layer pretrained for it.

        Raises:
            ConfigError: When the family has no such layer.
        """
        raise ConfigError(
            f"{self.backbone_class} has no pooler",
            expected="pooling: " + " or ".join(self.poolings),
            fix=f'choose pooling="{self.poolings[0]}"',
        )

    def places(self, num_layers: int) -> list[Place]:
        """Returns every place of a backbone with that many layers."""
        repeated = [
            place.at(index) for index in range(num_layers) for place in self.per_layer
        ]
        return [*self.once, *repeated]

    def places_of(self, backbone: Any) -> list[Place]:
        """Returns the places that a backbone has, without an untied head it lacks."""
        places = self.places(backbone.num_layers)
        if getattr(backbone.token_embedding, "tie_weights", True):
            return [place for place in places if place.name != "head"]
        return places

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
