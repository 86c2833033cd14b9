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

    KerasHub always builds BERT with the tanh approximation of GELU. Most checkpoints
    were trained with the erf form; outputs differ by 4e-4.

    Args:
        backbone: A built backbone of `TransformerEncoder` or `TransformerDecoder`.
        act: The activation between the two matrices of a feed-forward block.
        epsilon: Added to the variance in every layer norm.
        dropout: Share of the states that training drops.
        attention_dropout: Share of the attention weights that training drops. Build
            the backbone with `either` of the two rates, or attention drops nothing.
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
    """Returns one rate for KerasHub's constructor that enables every kind of dropout.

    A dropout layer built with rate 0 never gets a random state.
    """
    return max(rates)


class LayerSettings(NamedTuple):
    """The settings that `follow` sets, read back from a backbone.

    Attributes:
        act: The Hugging Face name of the activation.
        epsilon: Added to the variance in the layer norms.
        dropout: Share of the states that training drops.
        attention_dropout: Share of the attention weights that training drops.
    """

    act: str
    epsilon: float
    dropout: float
    attention_dropout: float


def layer_settings(backbone: Any) -> LayerSettings:
    """Returns the settings of a backbone of KerasHub's encoder or decoder layers."""
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
    return LayerSettings(activation_name(act), epsilon, dropout, attention_dropout)


def head_count(config: Mapping[str, Any], width_key: str, heads_key: str) -> int:
    """Returns the number of attention heads.

    Raises:
        DataError: When it does not divide the width.
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
    """Returns the number of weights in the matrices of a transformer.

    Args:
        width: Size of a hidden state.
        inner: Size inside the feed-forward blocks.
        layers: Number of layers.
        rows: Total rows of the embedding tables.
        attention: Number of square matrices in the attention of a layer. Defaults
            to 4.
        ffn: Number of matrices in a feed-forward block. Defaults to 2.
    """
    return width * (rows + layers * (attention * width + ffn * inner))
