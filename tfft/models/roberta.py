"""RoBERTa (Liu et al., 2019, arXiv:1907.11692)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tfft.core.errors import DataError
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
from tfft.models.heads import through_tanh
from tfft.models.places import embedding, norm

_POSITIONS = "embeddings.position_embeddings.weight"
_SEGMENTS = "embeddings.token_type_embeddings.weight"


@ARCHITECTURES.register("roberta")
class Roberta(Architecture):
    """RoBERTa as KerasHub builds it.

    Hugging Face starts positions at the padding id + 1, and adds the first row of the
    segment table to every token. KerasHub does neither, so its position table holds
    only the rows in use, with the segment row added.
    """

    backbone_class = "RobertaBackbone"
    tokenizer_class = "RobertaTokenizer"
    prefix = "roberta."
    causal = False
    poolings = ("first", "mean")
    default_targets = ("query", "value")
    # The pooler was not pretrained, and no Hugging Face task uses it.
    unused = (r"embeddings\.position_ids", r"pooler\.dense\.(weight|bias)")
    aside = (r"lm_head\..+",)
    dropout_keys = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 50_265,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }
    forms: ClassVar[Mapping[str, Form]] = {
        "FEATURE_EXTRACTION": Form("RobertaModel", prefixed=False),
        "SEQ_CLS": Form(
            "RobertaForSequenceClassification",
            ("classifier.dense", "classifier.out_proj"),
            pooling="first",
            arrange=through_tanh,
        ),
        "TOKEN_CLS": Form("RobertaForTokenClassification", ("classifier",)),
        "QUESTION_ANS": Form("RobertaForQuestionAnswering", ("qa_outputs",)),
    }
    once = (
        embedding(
            "embeddings.token",
            "embeddings/token_embedding",
            "embeddings.word_embeddings",
        ),
        embedding(
            "embeddings.position",
            "embeddings/position_embedding",
            "embeddings.position_embeddings",
        ),
        norm("embeddings.norm", "embeddings_layer_norm", "embeddings.LayerNorm"),
    )
    per_layer = encoder_layer("encoder.layer.{i}", BERT_LAYER)

    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a `RobertaBackbone` with random weights for a Hugging Face config.

        Args:
            config: The content of `config.json`.

        Raises:
            DataError: For a value that KerasHub's RoBERTa cannot compute.
        """
        import keras_hub

        backbone = keras_hub.models.RobertaBackbone(
            **bert_arguments(config), max_sequence_length=self.max_length(config)
        )
        follow(backbone, **bert_layer_settings(config))
        return backbone

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `RobertaBackbone`."""
        return {
            "model_type": "roberta",
            **bert_config(backbone),
            "max_position_embeddings": backbone.max_sequence_length + 2,
            "type_vocab_size": 1,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        }

    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns the number of weights in the matrices."""
        return bert_size(config)

    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the number of positions, without the unused first ones."""
        length = read(config, "max_position_embeddings") - first_position(config)
        if length < 1:
            raise DataError(
                f"max_position_embeddings={length + first_position(config)}",
                where="config.json",
                expected="more than pad_token_id + 1",
                fix="download the model again",
            )
        return length

    def adapt(
        self, tensors: dict[str, np.ndarray], config: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Returns the tensors with only the positions in use and the segment row added.

        Raises:
            DataError: When a table is missing or has the wrong shape.
        """
        rows = read(config, "max_position_embeddings")
        width = read(config, "hidden_size")
        kinds = read({"type_vocab_size": 2, **config}, "type_vocab_size")
        for name, shape in ((_POSITIONS, (rows, width)), (_SEGMENTS, (kinds, width))):
            found = tensors[name].shape if name in tensors else "nothing"
            if found != shape:
                raise DataError(
                    f"{name} has shape {found}, not {shape}",
                    expected="the tensors that config.json describes",
                    fix="check that config.json and weights belong together",
                )
        positions, segments = (
            np.asarray(tensors[name], "float32") for name in (_POSITIONS, _SEGMENTS)
        )
        kept = {name: value for name, value in tensors.items() if name != _SEGMENTS}
        return {**kept, _POSITIONS: positions[first_position(config) :] + segments[0]}

    def restore(
        self, tensors: dict[str, np.ndarray], config: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Returns the tensors with zeros as unused positions and segment rows."""
        positions = tensors[_POSITIONS]
        unused = np.zeros((first_position(config), positions.shape[1]), "float32")
        kinds = read({"type_vocab_size": 2, **config}, "type_vocab_size")
        return {
            **tensors,
            _POSITIONS: np.concatenate([unused, positions]),
            _SEGMENTS: np.zeros((kinds, positions.shape[1]), "float32"),
        }


def first_position(config: Mapping[str, Any]) -> int:
    """Returns the row of the first position in the table: the padding id + 1.

    Raises:
        DataError: When the padding id is not a small whole number.
    """
    padding = config.get("pad_token_id", 1)
    # `read` accepts sizes of 1 or more; a padding id may be 0.
    return 1 if padding == 0 else read({"pad_token_id": padding}, "pad_token_id") + 1
