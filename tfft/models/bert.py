"""BERT (Devlin et al., 2018, arXiv:1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.core.model_config import read
from tfft.models.architecture import ARCHITECTURES, Architecture, Form
from tfft.models.encoder import (
    BERT_LAYER,
    bert_arguments,
    bert_config,
    bert_layer_settings,
    bert_size,
    encoder_layer,
)
from tfft.models.follow import follow
from tfft.models.places import embedding, linear, norm

_MOST_SEGMENTS = 1000


@ARCHITECTURES.register("bert")
class Bert(Architecture):
    """BERT as KerasHub builds it, with the activation that the config names."""

    backbone_class = "BertBackbone"
    tokenizer_class = "BertTokenizer"
    prefix = "bert."
    inputs = ("token_ids", "segment_ids", "padding_mask")
    causal = False
    poolings = ("pooler", "mean", "first")
    default_targets = ("query", "value")
    optional = ("pooler",)
    top = ("pooler",)
    aside = (r"cls\..+",)
    unused = (r"embeddings\.position_ids",)
    dropout_keys = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 30_522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }
    forms: ClassVar[Mapping[str, Form]] = {
        "FEATURE_EXTRACTION": Form("BertModel", prefixed=False),
        "SEQ_CLS": Form(
            "BertForSequenceClassification", ("classifier",), pooling="pooler"
        ),
        "TOKEN_CLS": Form("BertForTokenClassification", ("classifier",), ("pooler",)),
        "QUESTION_ANS": Form("BertForQuestionAnswering", ("qa_outputs",), ("pooler",)),
    }
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
    per_layer = encoder_layer("encoder.layer.{i}", BERT_LAYER)

    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a `BertBackbone` with random weights for a Hugging Face config.

        Args:
            config: The content of `config.json`.

        Raises:
            DataError: For a value that KerasHub's BERT cannot compute.
        """
        import keras_hub

        backbone = keras_hub.models.BertBackbone(
            **bert_arguments(config),
            max_sequence_length=self.max_length(config),
            num_segments=read(
                self.completed(config), "type_vocab_size", _MOST_SEGMENTS
            ),
        )
        follow(backbone, **bert_layer_settings(config))
        return backbone

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `BertBackbone`."""
        return {
            "model_type": "bert",
            **bert_config(backbone),
            "max_position_embeddings": backbone.max_sequence_length,
            "type_vocab_size": backbone.num_segments,
            "pad_token_id": 0,
        }

    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns the number of weights in the matrices."""
        return bert_size(config)

    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the number of positions."""
        return read(config, "max_position_embeddings")

    def sequence(self, outputs: Any) -> Any:
        """Returns the states of the last layer."""
        return outputs["sequence_output"]

    def pooled(self, outputs: Any) -> Any:
        """Returns tanh(W·h_[CLS] + b), the pooling that BERT was pretrained with."""
        return outputs["pooled_output"]
