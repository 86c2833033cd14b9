"""Places and config shared by Llama, Qwen2 and Mistral."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.core.errors import DataError, shorten
from tfft.core.model_config import (
    MOST_LAYERS,
    read,
    read_number,
    refuse_unless,
)
from tfft.models.architecture import Architecture, Form
from tfft.models.follow import head_count, transformer_size
from tfft.models.places import Place, embedding, language_head, linear, rms_norm

_BLOCK = "transformer_layer_{i}"
_THEIRS = "layers.{i}"
_UNKNOWN_LENGTH = 2048


def decoder_forms(name: str, answers_prefix: str | None = None) -> dict[str, Form]:
    """Returns the transformers classes of a family.

    Args:
        name: The start of their names.
        answers_prefix: The prefix of tensor names in the question answering class,
            when it differs from the family's.
    """
    head = ("head",)
    return {
        "FEATURE_EXTRACTION": Form(f"{name}Model", without=head, prefixed=False),
        "CAUSAL_LM": Form(f"{name}ForCausalLM", generates=True),
        "TOKEN_CLS": Form(f"{name}ForTokenClassification", ("score",), head),
        "QUESTION_ANS": Form(
            f"{name}ForQuestionAnswering", ("qa_outputs",), head, prefix=answers_prefix
        ),
    }


def decoder_layer(bias: bool) -> tuple[Place, ...]:
    """Returns the places of one layer.

    Args:
        bias: Whether query, key and value have a bias.
    """
    return (
        rms_norm(
            "layers.{i}.attention.norm",
            f"{_BLOCK}/self_attention_layernorm",
            f"{_THEIRS}.input_layernorm",
        ),
        linear(
            "layers.{i}.attention.query",
            f"{_BLOCK}/self_attention/query",
            f"{_THEIRS}.self_attn.q_proj",
            bias=bias,
        ),
        linear(
            "layers.{i}.attention.key",
            f"{_BLOCK}/self_attention/key",
            f"{_THEIRS}.self_attn.k_proj",
            bias=bias,
        ),
        linear(
            "layers.{i}.attention.value",
            f"{_BLOCK}/self_attention/value",
            f"{_THEIRS}.self_attn.v_proj",
            bias=bias,
        ),
        linear(
            "layers.{i}.attention.output",
            f"{_BLOCK}/self_attention/attention_output",
            f"{_THEIRS}.self_attn.o_proj",
            bias=False,
            input_axes=2,
        ),
        rms_norm(
            "layers.{i}.ffn.norm",
            f"{_BLOCK}/feedforward_layernorm",
            f"{_THEIRS}.post_attention_layernorm",
        ),
        linear(
            "layers.{i}.ffn.gate",
            f"{_BLOCK}/feedforward_gate_dense",
            f"{_THEIRS}.mlp.gate_proj",
            bias=False,
        ),
        linear(
            "layers.{i}.ffn.up",
            f"{_BLOCK}/feedforward_intermediate_dense",
            f"{_THEIRS}.mlp.up_proj",
            bias=False,
        ),
        linear(
            "layers.{i}.ffn.down",
            f"{_BLOCK}/feedforward_output_dense",
            f"{_THEIRS}.mlp.down_proj",
            bias=False,
        ),
    )


class Decoder(Architecture):
    """A stack of layers with rotary positions and a gated feed-forward block.

    Hugging Face and KerasHub rotate the same halves of a head, so loading a matrix
    only transposes it.

    Attributes:
        tied: Whether the head is tied when the config leaves it open.
    """

    prefix = "model."
    causal = True
    poolings = ("last", "mean")
    default_targets = ("query", "value")
    optional = ("head",)
    top = ("norm", "head")
    copies: ClassVar[Mapping[str, str]] = {"lm_head.weight": "embed_tokens.weight"}
    unused = (r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",)
    dropout_keys = ("attention_dropout",)
    tied: ClassVar[bool] = False
    once = (
        embedding("embeddings.token", "token_embedding", "embed_tokens"),
        rms_norm("norm", "sequence_output_layernorm", "norm"),
        language_head("token_embedding", "lm_head"),
    )
    per_layer = decoder_layer(bias=False)

    @abc.abstractmethod
    def make(self, config: Mapping[str, Any], sizes: dict[str, Any]) -> Any:
        """Returns the backbone.

        Args:
            config: The content of `config.json`.
            sizes: The arguments that the families' KerasHub classes share.
        """

    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a backbone with random weights for a Hugging Face config.

        Args:
            config: The content of `config.json`.

        Raises:
            DataError: For a value that KerasHub's class cannot compute.
        """
        refuse_unless(config, "hidden_act", ("silu", "swish"))
        heads = head_count(config, "hidden_size", "num_attention_heads")
        key_heads = heads
        if config.get("num_key_value_heads") is not None:
            key_heads = head_count(config, "num_attention_heads", "num_key_value_heads")
        sizes = {
            "vocabulary_size": read(config, "vocab_size"),
            "num_layers": read(config, "num_hidden_layers", MOST_LAYERS),
            "num_query_heads": heads,
            "num_key_value_heads": key_heads,
            "hidden_dim": read(config, "hidden_size"),
            "intermediate_dim": read(config, "intermediate_size"),
            "layer_norm_epsilon": read_number(config, "rms_norm_eps", 1e-6),
            "dropout": read_number(config, "attention_dropout", 0.0),
            "rope_max_wavelength": rope_theta(config),
        }
        return self.make(config, sizes)

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a backbone of the family."""
        width, heads = backbone.hidden_dim, backbone.num_query_heads
        return {
            "model_type": self.name,
            "vocab_size": backbone.vocabulary_size,
            "num_hidden_layers": backbone.num_layers,
            "num_attention_heads": heads,
            "num_key_value_heads": backbone.num_key_value_heads,
            "hidden_size": width,
            "head_dim": getattr(backbone, "head_dim", None) or width // heads,
            "intermediate_size": backbone.intermediate_dim,
            "rms_norm_eps": backbone.layer_norm_epsilon,
            "attention_dropout": backbone.dropout,
            "rope_theta": float(backbone.rope_max_wavelength),
            "hidden_act": "silu",
            # KerasHub's backbones do not store their maximum length.
            "max_position_embeddings": _UNKNOWN_LENGTH,
            "tie_word_embeddings": backbone.token_embedding.tie_weights,
        }

    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns the number of weights in the matrices, without keys and values."""
        return transformer_size(
            read(config, "hidden_size"),
            read(config, "intermediate_size"),
            layers=read(config, "num_hidden_layers", MOST_LAYERS),
            rows=read(config, "vocab_size"),
            attention=2,
            ffn=3,
        )

    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the number of positions that the model was trained for."""
        return read(config, "max_position_embeddings")

    def is_tied(self, config: Mapping[str, Any]) -> bool:
        """Returns whether the head is the token embedding."""
        refuse_unless(config, "tie_word_embeddings", (self.tied, not self.tied))
        return config.get("tie_word_embeddings", self.tied)


def expect_head_size(config: Mapping[str, Any]) -> None:
    """Refuses a head size other than the width divided by the number of heads.

    Raises:
        DataError: Names the size that KerasHub would use.
    """
    share = read(config, "hidden_size") // read(config, "num_attention_heads")
    if config.get("head_dim") is not None:
        refuse_unless(config, "head_dim", (share,))


def rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the rotary settings, from the old key, the new one or both.

    Raises:
        DataError: When they are not an object.
    """
    for key in ("rope_parameters", "rope_scaling"):
        settings = config.get(key)
        if settings is not None and not isinstance(settings, dict):
            raise DataError(
                f"{key}={shorten(settings)}",
                where="config.json",
                expected="an object",
                fix="download the model again",
            )
    return {
        **(config.get("rope_scaling") or {}),
        **(config.get("rope_parameters") or {}),
    }


def rope_type(config: Mapping[str, Any], allowed: tuple[str, ...]) -> str:
    """Returns how positions are scaled.

    Raises:
        DataError: For a scaling that is not allowed.
    """
    settings = rope(config)
    kind = settings.get("rope_type", settings.get("type", "default"))
    refuse_unless({"rope_type": kind}, "rope_type", allowed)
    return kind


def rope_theta(config: Mapping[str, Any]) -> float:
    """Returns the longest wavelength of the rotary positions, divided by 2π.

    Raises:
        DataError: When it is not a number from 1 up to 1e12.
    """
    value = rope(config).get("rope_theta", config.get("rope_theta", 10000.0))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 1 <= value < 1e12:
        raise DataError(
            f"rope_theta={shorten(value)}",
            where="config.json",
            expected="a number from 1 up to 1e12",
            fix="download the model again",
        )
    return float(value)
