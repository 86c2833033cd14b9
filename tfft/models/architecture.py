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
    """A transformers class that holds a backbone of the family.

    Attributes:
        name: The class name.
        modules: Names of the layers in its head.
        without: Optional places that the class lacks.
        prefixed: Whether it puts a prefix before the backbone's names.
        prefix: A prefix that differs from the family's; None for the family's.
        pooling: The pooling that its head reads; None for a head that reads the state
            of each token.
        arrange: Converts a linear head into the layers of this class.
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
    """One family of backbones. Each family has its own file and registers itself.

    The names of places are the same in every family: `layers.3.attention.query`,
    `.key`, `.value`, `.output` and `.norm`, `layers.3.ffn.up`, `.down`, `.norm`, and
    `.gate` where there is one. Outside the layers they are `embeddings.token` and,
    where the family has them, `embeddings.position`, `embeddings.segment`,
    `embeddings.norm`, `norm`, `pooler` and `head`.

    Attributes:
        backbone_class: Name of the KerasHub class.
        prefix: The prefix of tensor names in a Hugging Face checkpoint with a head.
        inputs: The keys that a batch must hold.
        causal: Whether a token sees only the tokens before it. If so, the backbone
            is a language model.
        poolings: The poolings that suit the family, its own first.
        once: The places outside the layers.
        per_layer: The places of one layer, with `{i}` for its index.
        default_targets: Where adapters go when the user names no place; as in PEFT.
        optional: Places that only some tasks use, such as the pooler. A checkpoint
            may lack their weights; they then start at random and always train.
        top: Places above the stack, which train when its last layers do.
        heads: Regular expressions for the names of a task head's tensors.
        aside: The same for tensors that tfft ignores and lists in a note.
        copies: Maps a tensor that repeats another one to that one's name.
        unused: Regular expressions for tensors that nothing needs, such as a table
            of the positions 0, 1, 2, …. They are ignored without a note.
        dropout_keys: The keys of the config that hold dropout rates.
        defaults: The sizes that transformers assumes when a config omits them.
        other_names: Maps further keys that transformers accepts to the family's own.
        forms: The transformers classes whose heads tfft's tasks have, by PEFT's name
            for the kind of task.
        tokenizer_class: The transformers class for a folder that names no tokenizer
            class.
        one_tokenizer: Whether transformers uses that class even when a folder names
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
        """The prefixes of tensor names among the classes of the family."""
        others = (form.prefix for form in self.forms.values())
        return (self.prefix, *dict.fromkeys(one for one in others if one is not None))

    @abc.abstractmethod
    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a backbone with random weights for a Hugging Face config."""

    @abc.abstractmethod
    def describe(self, backbone: Any) -> dict[str, Any]:
        """Makes the Hugging Face config of a backbone that has none."""

    @abc.abstractmethod
    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the maximum number of tokens in a text for a Hugging Face config."""

    @abc.abstractmethod
    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns a lower bound for the number of weights of the config's backbone.

        A config may come from anyone. One that describes more weights than the files
        hold is refused before any memory is allocated for it.
        """

    def adapt(
        self, tensors: dict[str, np.ndarray], config: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Converts a checkpoint's tensors to those that the places expect.

        Needed by a family whose KerasHub class has fewer weights. The names have no
        prefix.
        """
        return tensors

    def restore(
        self, tensors: dict[str, np.ndarray], config: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Converts the tensors of the places back to those of Hugging Face's class."""
        return tensors

    def sequence(self, outputs: Any) -> Any:
        """Returns the (batch, length, hidden) states among the backbone's outputs."""
        return outputs

    def pooled(self, outputs: Any) -> Any:
        """Returns the pooler's output, shape (batch, hidden).

        Raises:
            ConfigError: When the family has no pooler.
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
        """Returns the places of a backbone; a tied head is not one of them."""
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
        ConfigError: For a class that tfft does not support.
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
