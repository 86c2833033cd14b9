"""The layers of KerasHub's encoder, shared by BERT, RoBERTa and DistilBERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfft.compute.activations import activation
from tfft.core.model_config import (
    MOST_LAYERS,
    read,
    read_number,
    refuse_unless,
)
from tfft.models.follow import either, head_count, layer_settings, transformer_size
from tfft.models.places import Place, linear, norm

_BLOCK = "transformer_layer_{i}"
_ATTENTION = f"{_BLOCK}/self_attention_layer"


def encoder_layer(layer: str, theirs: Mapping[str, str]) -> tuple[Place, ...]:
    """Returns the places of one layer.

    Args:
        layer: The Hugging Face name of a layer, with `{i}` for its index.
        theirs: The Hugging Face name of each place, below the layer's name.
    """
    kinds = {
        "attention.query": (linear, f"{_ATTENTION}/query", {}),
        "attention.key": (linear, f"{_ATTENTION}/key", {}),
        "attention.value": (linear, f"{_ATTENTION}/value", {}),
        "attention.output": (
            linear,
            f"{_ATTENTION}/attention_output",
            {"input_axes": 2},
        ),
        "attention.norm": (norm, f"{_ATTENTION}_norm", {}),
        "ffn.up": (linear, f"{_BLOCK}/feedforward_intermediate_dense", {}),
        "ffn.down": (linear, f"{_BLOCK}/feedforward_output_dense", {}),
        "ffn.norm": (norm, f"{_BLOCK}/feedforward_layer_norm", {}),
    }
    return tuple(
        kind("layers.{i}." + name, path, f"{layer}.{theirs[name]}", **options)
        for name, (kind, path, options) in kinds.items()
    )


# The names that BERT and RoBERTa share.
BERT_LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "ffn.up": "intermediate.dense",
    "ffn.down": "output.dense",
    "ffn.norm": "output.LayerNorm",
}


def bert_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of KerasHub's class for a config with BERT's keys.

    Raises:
        DataError: For a value that KerasHub's encoder cannot compute.
    """
    refuse_unless(config, "position_embedding_type", ("absolute",))
    refuse_unless(config, "is_decoder", (False,))
    return {
        "vocabulary_size": read(config, "vocab_size"),
        "num_layers": read(config, "num_hidden_layers", MOST_LAYERS),
        "num_heads": head_count(config, "hidden_size", "num_attention_heads"),
        "hidden_dim": read(config, "hidden_size"),
        "intermediate_dim": read(config, "intermediate_size"),
        "dropout": either(*_dropout(config)),
    }


def bert_layer_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `follow` for a config with BERT's keys."""
    dropout, attention_dropout = _dropout(config)
    return {
        "act": activation(config.get("hidden_act", "gelu")),
        "epsilon": read_number(config, "layer_norm_eps", 1e-12),
        "dropout": dropout,
        "attention_dropout": attention_dropout,
    }


def _dropout(config: Mapping[str, Any]) -> tuple[float, float]:
    return (
        read_number(config, "hidden_dropout_prob", 0.1),
        read_number(config, "attention_probs_dropout_prob", 0.1),
    )


def bert_config(backbone: Any) -> dict[str, Any]:
    """Returns a config with BERT's keys for a backbone of KerasHub's encoder."""
    act, epsilon, dropout, attention_dropout = layer_settings(backbone)
    return {
        "vocab_size": backbone.token_embedding.input_dim,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_heads,
        "hidden_size": backbone.hidden_dim,
        "intermediate_size": backbone.intermediate_dim,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": attention_dropout,
        "hidden_act": act,
        "layer_norm_eps": epsilon,
    }


def bert_size(config: Mapping[str, Any]) -> int:
    """Returns the number of weights in the matrices for a config with BERT's keys."""
    return transformer_size(
        read(config, "hidden_size"),
        read(config, "intermediate_size"),
        layers=read(config, "num_hidden_layers", MOST_LAYERS),
        rows=read(config, "vocab_size") + read(config, "max_position_embeddings"),
    )
