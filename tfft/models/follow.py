"""Overrides what KerasHub's constructors hard-code with the values in config.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tfft.compute.activations import activation_name
from tfft.core.errors import DataError
from tfft.core.model_config import read


def follow(
    backbone: Any,
    *,
    act: Callable[[Any], Any],
    epsilon: float,
    dropout: float,
    attention_dropout: float,
) -> None:
    """Sets activation, norm epsilon and dropout rates of KerasHub's layers.

    KerasHub builds BERT with the tanh approximation of GELU whatever the config
    says; with the erf form that most checkpoints were trained with, outputs move by
    4e-4.

    Args:
        backbone: A built backbone of `TransformerEncoder` or `TransformerDecoder`.
        act: The function between the two matrices of a feed-forward block.
        epsilon: Added to the variance in every layer norm.
        dropout: Share of the states dropped in training.
        attention_dropout: The same of attention weights; the backbone must have been
            built with `either` of both, or its attention drops nothing.
    """
    import keras

    from tfft.compute.layers import layers_by_path, set_dropout, spots

    for path, layer in layers_by_path(backbone).items():
        if path.endswith("feedforward_intermediate_dense"):
            layer.activation = act
        if path.endswith("layer_norm"):
            layer.epsilon = epsilon
    set_dropout(backbone, dropout)
    for spot in spots(backbone):
        if isinstance(spot.parent, keras.layers.MultiHeadAttention) and isinstance(
            spot.layer, keras.layers.Dropout
        ):
            spot.layer.rate = attention_dropout


def either(*rates: float) -> float:
    """Returns a rate for KerasHub's one argument that switches all kinds on.

    A dropout layer that was built with rate 0 has no random state, ever.
    """
    return max(rates)


class Details(NamedTuple):
    """What `follow` sets, read back from a backbone.

    Attributes:
        act: The Hugging Face name of the activation.
        epsilon: Of the layer norms.
        dropout: Share of the states dropped in training.
        attention_dropout: The same of attention weights.
    """

    act: str
    epsilon: float
    dropout: float
    attention_dropout: float


def details(backbone: Any) -> Details:
    """Returns what a backbone of KerasHub's encoder or decoder computes with."""
    import keras

    from tfft.compute.layers import spots

    found = list(spots(backbone))
    paths = [(spot.layer.path or "", spot.layer) for spot in found]
    act = next(
        layer.activation
        for path, layer in paths
        if path.endswith("feedforward_intermediate_dense")
    )
    epsilon = next(layer.epsilon for path, layer in paths if "layer_norm" in path)
    dropouts = [spot for spot in found if isinstance(spot.layer, keras.layers.Dropout)]
    dropout = next(
        spot.layer.rate for spot in dropouts if spot.layer.name == "feedforward_dropout"
    )
    attention_dropout = next(
        spot.layer.rate
        for spot in dropouts
        if isinstance(spot.parent, keras.layers.MultiHeadAttention)
    )
    return Details(activation_name(act), epsilon, dropout, attention_dropout)


def head_count(config: Mapping[str, Any], width_key: str, heads_key: str) -> int:
    """Returns the number of attention heads, which must divide the width.

    Raises:
        DataError: When it does not.
    """
    heads, width = read(config, heads_key), read(config, width_key)
    if width % heads:
        raise DataError(
            f"{width_key}={width} with {heads_key}={heads}",
            where="config.json",
            expected="a multiple of the number of heads",
        )
    return heads


def transformer_size(
    width: int, inner: int, *, layers: int, rows: int, attention: int = 4, ffn: int = 2
) -> int:
    """Returns the number of values in the matrices of a transformer.

    Args:
        width: Size of a state.
        inner: Size inside the feed-forward blocks.
        layers: How many layers.
        rows: Rows of the embedding tables together.
        attention: Square matrices in a layer.
        ffn: Matrices in a feed-forward block.
    """
    return width * (rows + layers * (attention * width + ffn * inner))
