"""DistilBERT (Sanh et al., 2019, arXiv:1910.01108)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.compute.activations import activation
from tfft.core.model_config import MOST_LAYERS, read, read_number
from tfft.models.architecture import ARCHITECTURES, Architecture, Form
from tfft.models.encoder import encoder_layer
from tfft.models.follow import (
    either,
    follow,
    head_count,
    layer_settings,
    transformer_size,
)
from tfft.models.heads import through_relu
from tfft.models.places import embedding, norm

_EPSILON = 1e-12  # fixed in transformers; the config has no key for it
_EMBEDDINGS = "token_and_position_embedding"
_LAYER = {
    "attention.query": "attention.q_lin",
    "attention.key": "attention.k_lin",
    "attention.value": "attention.v_lin",
    "attention.output": "attention.out_lin",
    "attention.norm": "sa_layer_norm",
    "ffn.up": "ffn.lin1",
    "ffn.down": "ffn.lin2",
    "ffn.norm": "output_layer_norm",
}


@ARCHITECTURES.register("distilbert")
class DistilBert(Architecture):
    """DistilBERT as KerasHub builds it: BERT without segments and pooler."""

    backbone_class = "DistilBertBackbone"
    tokenizer_class = "BertTokenizer"
    prefix = "distilbert."
    causal = False
    poolings = ("first", "mean")
    default_targets = ("query", "value")
    heads = (r"(pre_classifier|classifier|qa_outputs)\..+",)
    aside = (r"vocab_(transform|layer_norm|projector)\..+",)
    unused = (r"embeddings\.position_ids",)
    dropout_keys = ("dropout", "attention_dropout")
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 30_522,
        "dim": 768,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": 3072,
        "max_position_embeddings": 512,
    }
    other_names: ClassVar[Mapping[str, str]] = {
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }
    forms: ClassVar[Mapping[str, Form]] = {
        "FEATURE_EXTRACTION": Form("DistilBertModel", prefixed=False),
        "SEQ_CLS": Form(
            "DistilBertForSequenceClassification",
            ("pre_classifier", "classifier"),
            pooling="first",
            arrange=through_relu,
        ),
        "TOKEN_CLS": Form("DistilBertForTokenClassification", ("classifier",)),
        "QUESTION_ANS": Form("DistilBertForQuestionAnswering", ("qa_outputs",)),
    }
    once = (
        embedding(
            "embeddings.token",
            f"{_EMBEDDINGS}/token_embedding",
            "embeddings.word_embeddings",
        ),
        embedding(
            "embeddings.position",
            f"{_EMBEDDINGS}/position_embedding",
            "embeddings.position_embeddings",
        ),
        norm("embeddings.norm", "embeddings_layer_norm", "embeddings.LayerNorm"),
    )
    per_layer = encoder_layer("transformer.layer.{i}", _LAYER)

    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a `DistilBertBackbone` with random weights for a config.

        Args:
            config: The content of `config.json`.

        Raises:
            DataError: For a value that KerasHub's DistilBERT cannot compute.
        """
        import keras_hub

        dropout = read_number(config, "dropout", 0.1)
        attention_dropout = read_number(config, "attention_dropout", 0.1)
        backbone = keras_hub.models.DistilBertBackbone(
            vocabulary_size=read(config, "vocab_size"),
            num_layers=read(config, "n_layers", MOST_LAYERS),
            num_heads=head_count(config, "dim", "n_heads"),
            hidden_dim=read(config, "dim"),
            intermediate_dim=read(config, "hidden_dim"),
            dropout=either(dropout, attention_dropout),
            max_sequence_length=self.max_length(config),
        )
        follow(
            backbone,
            act=activation(config.get("activation", "gelu"), "activation"),
            epsilon=_EPSILON,
            dropout=dropout,
            attention_dropout=attention_dropout,
        )
        return backbone

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `DistilBertBackbone`."""
        act, _, dropout, attention_dropout = layer_settings(backbone)
        return {
            "model_type": "distilbert",
            "vocab_size": backbone.vocabulary_size,
            "n_layers": backbone.num_layers,
            "n_heads": backbone.num_heads,
            "dim": backbone.hidden_dim,
            "hidden_dim": backbone.intermediate_dim,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "activation": act,
            "max_position_embeddings": backbone.max_sequence_length,
            "pad_token_id": 0,
        }

    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns the number of weights in the matrices."""
        return transformer_size(
            read(config, "dim"),
            read(config, "hidden_dim"),
            layers=read(config, "n_layers", MOST_LAYERS),
            rows=read(config, "vocab_size") + self.max_length(config),
        )

    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the number of positions."""
        return read(config, "max_position_embeddings")
