"""BERT (Devlin et al., 2018, arXiv:1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfft.core.errors import DataError
from tfft.models.architecture import ARCHITECTURES, Architecture, Place
from tfft.models.configuration import activation, read, read_number, refuse_unless

_BLOCK = "transformer_layer_{i}"
_THEIRS = "encoder.layer.{i}"


@ARCHITECTURES.register("bert")
class Bert(Architecture):
    """BERT as KerasHub builds it, with the activation that the config asks for."""

    backbone_class = "BertBackbone"
    prefix = "bert."
    default_targets = ("query", "value")
    optional = ("pooler",)
    top = ("pooler",)
    once = (
        Place(
            "embeddings.token",
            "token_embedding",
            "embeddings.word_embeddings",
            "embedding",
        ),
        Place(
            "embeddings.position",
            "position_embedding",
            "embeddings.position_embeddings",
            "embedding",
        ),
        Place(
            "embeddings.segment",
            "segment_embedding",
            "embeddings.token_type_embeddings",
            "embedding",
        ),
        Place(
            "embeddings.norm", "embeddings_layer_norm", "embeddings.LayerNorm", "norm"
        ),
        Place("pooler", "pooled_dense", "pooler.dense"),
    )
    per_layer = (
        Place(
            "layers.{i}.attention.query",
            f"{_BLOCK}/self_attention_layer/query",
            f"{_THEIRS}.attention.self.query",
        ),
        Place(
            "layers.{i}.attention.key",
            f"{_BLOCK}/self_attention_layer/key",
            f"{_THEIRS}.attention.self.key",
        ),
        Place(
            "layers.{i}.attention.value",
            f"{_BLOCK}/self_attention_layer/value",
            f"{_THEIRS}.attention.self.value",
        ),
        Place(
            "layers.{i}.attention.output",
            f"{_BLOCK}/self_attention_layer/attention_output",
            f"{_THEIRS}.attention.output.dense",
        ),
        Place(
            "layers.{i}.attention.norm",
            f"{_BLOCK}/self_attention_layer_norm",
            f"{_THEIRS}.attention.output.LayerNorm",
            "norm",
        ),
        Place(
            "layers.{i}.feedforward.intermediate",
            f"{_BLOCK}/feedforward_intermediate_dense",
            f"{_THEIRS}.intermediate.dense",
        ),
        Place(
            "layers.{i}.feedforward.output",
            f"{_BLOCK}/feedforward_output_dense",
            f"{_THEIRS}.output.dense",
        ),
        Place(
            "layers.{i}.feedforward.norm",
            f"{_BLOCK}/feedforward_layer_norm",
            f"{_THEIRS}.output.LayerNorm",
            "norm",
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
        heads, width = read(config, "num_attention_heads"), read(config, "hidden_size")
        if width % heads:
            raise DataError(
                f"hidden_size={width} with num_attention_heads={heads}",
                where="config.json",
                expected="a multiple of the number of heads",
            )
        backbone = keras_hub.models.BertBackbone(
            vocabulary_size=read(config, "vocab_size"),
            num_layers=read(config, "num_hidden_layers"),
            num_heads=heads,
            hidden_dim=width,
            intermediate_dim=read(config, "intermediate_size"),
            dropout=read_number(config, "hidden_dropout_prob", 0.1),
            max_sequence_length=read(config, "max_position_embeddings"),
            num_segments=read({"type_vocab_size": 2, **config}, "type_vocab_size"),
        )
        _follow(backbone, config)
        return backbone

    def pooled(self, outputs: Any) -> Any:
        """Returns tanh(W·h_[CLS] + b), what BERT was pretrained to sum up with."""
        return outputs["pooled_output"]


def _follow(backbone: Any, config: Mapping[str, Any]) -> None:
    """Sets what KerasHub's constructor fixes: activation and norm epsilon.

    KerasHub builds the tanh approximation of GELU whatever the config says; with
    the erf form that most checkpoints were trained with, outputs move by 4e-4.
    """
    from tfft.models.layers import layers_by_path

    function = activation(config.get("hidden_act", "gelu"))
    epsilon = read_number(config, "layer_norm_eps", 1e-12)
    for path, layer in layers_by_path(backbone).items():
        if path.endswith("feedforward_intermediate_dense"):
            layer.activation = function
        if path.endswith("layer_norm"):
            layer.epsilon = epsilon
