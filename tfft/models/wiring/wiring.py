"""The base class of wirings: calls a decoder's layers with positions and masks."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

from tfft.core.errors import ConfigError
from tfft.core.registry import Registry

WIRINGS = Registry("decoder", "tfft.models.wiring")

# Maps query, key, value and a dropout function to the attention's output.
Attend = Callable[[Any, Any, Any, Callable[[Any], Any] | None], Any]
Drop = Callable[[Any, Any], Any]


class Wiring(abc.ABC):
    """The forward pass of a decoder over its backbone's own layers.

    A KerasHub backbone takes only ids and a padding mask. Its layers can do more, so
    the wiring calls them directly, including layers that an adapter has replaced.

    Args:
        backbone: A built backbone.

    Raises:
        ConfigError: When an adapter wraps a block or its attention.
    """

    name: ClassVar[str]

    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone
        for block in self.blocks:
            _check_calls(block)

    @property
    def blocks(self) -> list[Any]:
        """The transformer blocks, in order."""
        return list(self.backbone.transformer_layers)

    @property
    def is_tied(self) -> bool:
        """Whether the head shares the matrix of the token embedding."""
        return self.backbone.token_embedding.tie_weights

    @property
    def matrix(self) -> Any:
        """The head's variable: (vocabulary, hidden) when tied, otherwise transposed."""
        embedding = self.backbone.token_embedding
        return embedding.embeddings if self.is_tied else embedding.reverse_embeddings

    @property
    @abc.abstractmethod
    def key_shape(self) -> tuple[int, int]:
        """The number of key heads, and the size of one."""

    @property
    @abc.abstractmethod
    def position_limit(self) -> int | None:
        """The number of positions; None when the architecture has no limit."""

    @property
    def window(self) -> int | None:
        """How many tokens each token sees, itself included; None for all before it."""
        return None

    @abc.abstractmethod
    def embed(self, token_ids: Any, positions: Any) -> Any:
        """Returns the embeddings, shape (batch, length, hidden), before dropout."""

    @property
    @abc.abstractmethod
    def embedding_dropouts(self) -> list[Any]:
        """The dropout layers between the embedding and the first block."""

    @abc.abstractmethod
    def dropouts(self, block: Any) -> list[Any]:
        """Returns the dropout layers of a block."""

    @abc.abstractmethod
    def block(
        self, block: Any, x: Any, positions: Any, attend: Attend, drop: Drop
    ) -> Any:
        """Returns the states after a block.

        Args:
            block: One of `blocks`.
            x: States, shape (batch, length, hidden).
            positions: Position of each token in its sequence, shape (batch, length).
            attend: Computes attention.
            drop: Applies a dropout layer to its input.
        """

    def finish(self, x: Any) -> Any:
        """Returns the states that the head reads."""
        return self.backbone.layer_norm(x)


def inner_layer(layer: Any, name: str) -> Any:
    """Returns the inner layer of that name, adapted or not.

    Raises:
        ConfigError: When there is none, because KerasHub's layers have changed.
    """
    import keras

    for value in vars(layer).values():
        if isinstance(value, keras.Layer) and value.name == name:
            return value
    raise ConfigError(
        f"{layer.path} has no layer {name}",
        where=type(layer).__name__,
        fix="install a KerasHub version that tfft supports",
    )


def plain_attention(block: Any, name: str, kind: str) -> Any:
    """Returns the attention layer of a block.

    The wiring calls the layers inside it, so it would skip whatever a wrapper adds.

    Raises:
        ConfigError: When another layer has replaced it.
    """
    layer = inner_layer(block, name)
    if type(layer).__name__ != kind:
        raise ConfigError(
            f"{layer.path} is a {type(layer).__name__}",
            expected=f"a {kind}; adapters may be inside it",
            fix="choose a method that adapts the layers inside the attention",
        )
    return layer


def _check_calls(block: Any) -> None:
    """Refuses adapters around a layer that the wiring does not call as a whole."""
    around = [("call", block)]
    around += [("_compute_attention", layer) for layer in block._flatten_layers()]
    for method, layer in around:
        # `inject.intercept` marks a layer with this attribute.
        if hasattr(vars(layer).get(method), "arounds"):
            raise ConfigError(
                f"an adapter changes how {layer.path} is called",
                where="a language model",
                expected="a method that adapts only layers inside a block",
                fix='use method="lora", not "prefix" or "prompt"',
            )


def wiring_of(backbone: Any) -> Wiring:
    """Returns the wiring of a KerasHub backbone.

    Raises:
        ConfigError: For a class that is not a decoder tfft supports, or an adapter
            that the wiring would skip.
    """
    for kind in type(backbone).__mro__:
        if kind.__name__ in WIRINGS.names():
            return WIRINGS.get(kind.__name__)(backbone)
    raise ConfigError(
        f"backbone of type {type(backbone).__name__}",
        expected="a decoder: " + ", ".join(WIRINGS.names()),
        fix="choose a model of one of these families",
    )
