"""The base class of wirings: calls a decoder's layers with positions and masks."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

from tfft.core.errors import ConfigError
from tfft.core.registry import Registry

WIRINGS = Registry("decoder", "tfft.models.wiring")

# Maps query, key, value and a dropout to the attention's output.
Attend = Callable[[Any, Any, Any, Callable[[Any], Any] | None], Any]
Drop = Callable[[Any, Any], Any]


class Wiring(abc.ABC):
    """The forward pass of a decoder over its backbone's own layers.

    A KerasHub backbone takes ids and a padding mask only. Its layers can do more,
    and layers that an adapter put in their place are called just as they are.

    Args:
        backbone: A built backbone.

    Raises:
        ConfigError: When an adapter stands around a block or its attention.
    """

    name: ClassVar[str]

    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone
        for block in self.blocks:
            _check_calls(block)

    @property
    def blocks(self) -> list[Any]:
        """The layers of the stack."""
        return list(self.backbone.transformer_layers)

    @property
    def is_tied(self) -> bool:
        """Whether the head's matrix is the token embedding itself."""
        return self.backbone.token_embedding.tie_weights

    @property
    def matrix(self) -> Any:
        """The head's variable: (vocabulary, hidden) when tied, else transposed."""
        embedding = self.backbone.token_embedding
        return embedding.embeddings if self.is_tied else embedding.reverse_embeddings

    @property
    @abc.abstractmethod
    def key_shape(self) -> tuple[int, int]:
        """The number of key heads and their size."""

    @property
    @abc.abstractmethod
    def position_limit(self) -> int | None:
        """The most positions there are, None where none is built in."""

    @property
    def window(self) -> int | None:
        """How many tokens each sees, itself included; None for all before it."""
        return None

    @abc.abstractmethod
    def embed(self, token_ids: Any, positions: Any) -> Any:
        """Returns the embeddings, shape (batch, length, hidden), before dropout."""

    @property
    @abc.abstractmethod
    def embedding_dropouts(self) -> list[Any]:
        """The dropout layers between embedding and stack."""

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
            positions: Place of each token in its sequence, shape (batch, length).
            attend: Attention.
            drop: Takes a dropout layer and its input.
        """

    def finish(self, x: Any) -> Any:
        """Returns the states that the head sees."""
        return self.backbone.layer_norm(x)


def part(layer: Any, name: str) -> Any:
    """Returns the layer of that name which another holds, adapted or not.

    Raises:
        ConfigError: When it holds none: this KerasHub is built in another way.
    """
    import keras

    for value in vars(layer).values():
        if isinstance(value, keras.Layer) and value.name == name:
            return value
    raise ConfigError(
        f"{layer.path} has no layer {name}",
        where=type(layer).__name__,
        fix="use a KerasHub of the range that tfft names",
    )


def plain_attention(block: Any, name: str, kind: str) -> Any:
    """Returns the attention of a block, whose inner layers the wiring calls.

    Raises:
        ConfigError: When something else stands in its place, whose work would be
            left out.
    """
    layer = part(block, name)
    if type(layer).__name__ != kind:
        raise ConfigError(
            f"{layer.path} is a {type(layer).__name__}",
            expected=f"a {kind}, perhaps with adapters inside it",
            fix="choose a method that adapts the layers inside the attention",
        )
    return layer


def _check_calls(block: Any) -> None:
    """Refuses adapters around a layer whose inner layers the wiring calls itself."""
    around = [("call", block)]
    around += [("_compute_attention", layer) for layer in block._flatten_layers()]
    for method, layer in around:
        # What `inject.intercept` leaves at a layer.
        if hasattr(vars(layer).get(method), "arounds"):
            raise ConfigError(
                f"an adapter changes how {layer.path} is called",
                where="a language model",
                expected="a method that adapts the layers inside a block",
                fix='use method="lora", not "prefix" or "prompt"',
            )


def wiring_of(backbone: Any) -> Wiring:
    """Returns the wiring of a KerasHub backbone.

    Raises:
        ConfigError: For a class that is no decoder tfft knows, or an adapter that
            its wiring would leave out.
    """
    for kind in type(backbone).__mro__:
        if kind.__name__ in WIRINGS.names():
            return WIRINGS.get(kind.__name__)(backbone)
    raise ConfigError(
        f"backbone of type {type(backbone).__name__}",
        expected="a decoder: " + ", ".join(WIRINGS.names()),
        fix="choose a model of one of these families",
    )
