"""BERT (Devlin et al., 2018, arXiv:1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfft.models.architecture import ARCHITECTURES, Architecture
from tfft.models.configuration import activation, read, read_number, refuse_unless
from tfft.models.follow import follow, head_count
from tfft.models.places import embedding, linear, norm

_BLOCK = "transformer_layer_{i}"
_THEIRS = "encoder.layer.{i}"


@ARCHITECTURES.register("bert")
class Bert(Architecture):
    """BERT as KerasHub builds it, with the activation that the config asks for."""

    backbone_class = "BertBackbone"
    prefix = "bert."
    inputs = ("token_ids", "segment_ids", "padding_mask")
    causal = False
    poolings = ("pooler", "mean", "first")
    default_targets = ("query", "value")
    optional = ("pooler",)
    top = ("pooler",)
    unused = (r"embeddings\.position_ids",)
    dropout_keys = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    once = (
        embedding("embeddings.token", "token_embedding", "embeddings.word_embeddings"),
        embedding(
            "embeddings.position",
            "position_embedding",
            "embeddings.position_embeddings",
        ),
        embedding(
            "embeddings.segment",
            "segment_embedding",
            "embeddings.token_type_embeddings",
        ),
        norm("embeddings.norm", "embeddings_layer_norm", "embeddings.LayerNorm"),
        linear("pooler", "pooled_dense", "pooler.dense"),
    )
    per_layer = (
        linear(
            "layers.{i}.attention.query",
            f"{_BLOCK}/self_attention_layer/query",
            f"{_THEIRS}.attention.self.query",
        ),
        linear(
            "layers.{i}.attention.key",
            f"{_BLOCK}/self_attention_layer/key",
            f"{_THEIRS}.attention.self.key",
        ),
        linear(
            "layers.{i}.attention.value",
            f"{_BLOCK}/self_attention_layer/value",
            f"{_THEIRS}.attention.self.value",
        ),
        linear(
            "layers.{i}.attention.output",
            f"{_BLOCK}/self_attention_layer/attention_output",
            f"{_THEIRS}.attention.output.dense",
            input_axes=2,
        ),
        norm(
            "layers.{i}.attention.norm",
            f"{_BLOCK}/self_attention_layer_norm",
            f"{_THEIRS}.attention.output.LayerNorm",
        ),
        linear(
            "layers.{i}.ffn.up",
            f"{_BLOCK}/feedforward_intermediate_dense",
            f"{_THEIRS}.intermediate.dense",
        ),
        linear(
            "layers.{i}.ffn.down",
            f"{_BLOCK}/feedforward_output_dense",
            f"{_THEIRS}.output.dense",
        ),
        norm(
            "layers.{i}.ffn.norm",
            f"{_BLOCK}/feedforward_layer_norm",
            f"{_THEIRS}.output.LayerNorm",
        ),
    )

    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a `BertBackbone` with random weights for a Hugging Face config.

        Args:
            config: The content of `config.json`.

        Raises:
            DataError: For a value that KerasHub's BERT cannot compute.
        """
        import keras_hub

        refuse_unless(config, "position_embedding_type", ("absolute",))
        refuse_unless(config, "is_decoder", (False,))
        dropout = read_number(config, "hidden_dropout_prob", 0.1)
        backbone = keras_hub.models.BertBackbone(
            vocabulary_size=read(config, "vocab_size"),
            num_layers=read(config, "num_hidden_layers"),
            num_heads=head_count(config, "hidden_size", "num_attention_heads"),
            hidden_dim=read(config, "hidden_size"),
            intermediate_dim=read(config, "intermediate_size"),
            dropout=dropout,
            max_sequence_length=self.max_length(config),
            num_segments=read({"type_vocab_size": 2, **config}, "type_vocab_size"),
        )
        follow(
            backbone,
            act=activation(config.get("hidden_act", "gelu"), "hidden_act"),
            epsilon=read_number(config, "layer_norm_eps", 1e-12),
            attention_dropout=read_number(
                config, "attention_probs_dropout_prob", dropout
            ),
        )
        return backbone

    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the number of positions."""
        return read(config, "max_position_embeddings")

    def sequence(self, outputs: Any) -> Any:
        """Returns the states of the last layer."""
        return outputs["sequence_output"]

    def pooled(self, outputs: Any) -> Any:
        """Returns tanh(W·h_[CLS] + b), what BERT was pretrained to sum up with."""
        return outputs["pooled_output"]
