"""GPT-2 (Radford et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.compute.activations import activation
from tfft.core.model_config import (
    MOST_LAYERS,
    read,
    read_number,
    refuse_unless,
)
from tfft.models.architecture import ARCHITECTURES, Architecture, Form
from tfft.models.follow import (
    either,
    follow,
    head_count,
    layer_settings,
    transformer_size,
)
from tfft.models.places import Place, Share, embedding, linear, norm

_BLOCK = "transformer_layer_{i}"
_ATTENTION = f"{_BLOCK}/self_attention"


def _conv1d(name: str, path: str, theirs: str, **options: Any) -> Place:
    """Returns the place of a Conv1D, which stores its matrix as (in, out)."""
    return linear(name, path, theirs, layout="in_out", **options)


@ARCHITECTURES.register("gpt2")
class GPT2(Architecture):
    """GPT-2 as KerasHub builds it, its head tied to the token embedding.

    Hugging Face stores query, key and value in one matrix, `c_attn`. Each of the
    three places holds one third of it.
    """

    backbone_class = "GPT2Backbone"
    tokenizer_class = "GPT2Tokenizer"
    prefix = "transformer."
    causal = True
    poolings = ("last", "mean")
    # PEFT's default is c_attn, which holds all three.
    default_targets = ("query", "key", "value")
    top = ("norm",)
    aside = (r"multiple_choice_head\..+",)
    copies: ClassVar[Mapping[str, str]] = {"lm_head.weight": "wte.weight"}
    # The causal mask, which older transformers saved in every layer.
    unused = (r"h\.\d+\.attn\.(bias|masked_bias)",)
    dropout_keys = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 50_257,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
    }
    other_names: ClassVar[Mapping[str, str]] = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    forms: ClassVar[Mapping[str, Form]] = {
        "FEATURE_EXTRACTION": Form("GPT2Model", prefixed=False),
        "CAUSAL_LM": Form("GPT2LMHeadModel", generates=True),
        "TOKEN_CLS": Form("GPT2ForTokenClassification", ("classifier",)),
        "QUESTION_ANS": Form("GPT2ForQuestionAnswering", ("qa_outputs",)),
    }
    once = (
        embedding("embeddings.token", "token_embedding", "wte"),
        embedding("embeddings.position", "position_embedding", "wpe"),
        norm("norm", "layer_norm", "ln_f"),
    )
    per_layer = (
        norm(
            "layers.{i}.attention.norm",
            f"{_BLOCK}/self_attention_layer_norm",
            "h.{i}.ln_1",
        ),
        _conv1d(
            "layers.{i}.attention.query",
            f"{_ATTENTION}/query",
            "h.{i}.attn.c_attn",
            share=Share(0, 3),
        ),
        _conv1d(
            "layers.{i}.attention.key",
            f"{_ATTENTION}/key",
            "h.{i}.attn.c_attn",
            share=Share(1, 3),
        ),
        _conv1d(
            "layers.{i}.attention.value",
            f"{_ATTENTION}/value",
            "h.{i}.attn.c_attn",
            share=Share(2, 3),
        ),
        _conv1d(
            "layers.{i}.attention.output",
            f"{_ATTENTION}/attention_output",
            "h.{i}.attn.c_proj",
            input_axes=2,
        ),
        norm("layers.{i}.ffn.norm", f"{_BLOCK}/feedforward_layer_norm", "h.{i}.ln_2"),
        _conv1d(
            "layers.{i}.ffn.up",
            f"{_BLOCK}/feedforward_intermediate_dense",
            "h.{i}.mlp.c_fc",
        ),
        _conv1d(
            "layers.{i}.ffn.down",
            f"{_BLOCK}/feedforward_output_dense",
            "h.{i}.mlp.c_proj",
        ),
    )

    def build(self, config: Mapping[str, Any]) -> Any:
        """Returns a `GPT2Backbone` with random weights for a Hugging Face config.

        Args:
            config: The content of `config.json`.

        Raises:
            DataError: For a value that KerasHub's GPT-2 cannot compute.
        """
        import keras_hub

        refuse_unless(config, "add_cross_attention", (False,))
        refuse_unless(config, "scale_attn_weights", (True,))
        refuse_unless(config, "scale_attn_by_inverse_layer_idx", (False,))
        refuse_unless(config, "tie_word_embeddings", (True,))
        dropout = read_number(config, "resid_pdrop", 0.1)
        attention_dropout = read_number(config, "attn_pdrop", 0.1)
        embeddings_dropout = read_number(config, "embd_pdrop", 0.1)
        backbone = keras_hub.models.GPT2Backbone(
            vocabulary_size=read(config, "vocab_size"),
            num_layers=read(config, "n_layer", MOST_LAYERS),
            num_heads=head_count(config, "n_embd", "n_head"),
            hidden_dim=read(config, "n_embd"),
            intermediate_dim=_inner(config),
            dropout=either(dropout, attention_dropout, embeddings_dropout),
            max_sequence_length=self.max_length(config),
        )
        follow(
            backbone,
            act=activation(
                config.get("activation_function", "gelu_new"), "activation_function"
            ),
            epsilon=read_number(config, "layer_norm_epsilon", 1e-5),
            dropout=dropout,
            attention_dropout=attention_dropout,
        )
        backbone.embeddings_dropout.rate = embeddings_dropout
        return backbone

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `GPT2Backbone`."""
        act, epsilon, dropout, attention_dropout = layer_settings(backbone)
        return {
            "model_type": "gpt2",
            "vocab_size": backbone.vocabulary_size,
            "n_layer": backbone.num_layers,
            "n_head": backbone.num_heads,
            "n_embd": backbone.hidden_dim,
            "n_inner": backbone.intermediate_dim,
            "n_positions": backbone.max_sequence_length,
            "resid_pdrop": dropout,
            "embd_pdrop": backbone.embeddings_dropout.rate,
            "attn_pdrop": attention_dropout,
            "activation_function": act,
            "layer_norm_epsilon": epsilon,
        }

    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns the number of weights in the matrices."""
        return transformer_size(
            read(config, "n_embd"),
            _inner(config),
            layers=read(config, "n_layer", MOST_LAYERS),
            rows=read(config, "vocab_size") + self.max_length(config),
        )

    def max_length(self, config: Mapping[str, Any]) -> int:
        """Returns the number of positions."""
        return read(config, "n_positions")


def _inner(config: Mapping[str, Any]) -> int:
    """Returns the size inside the feed-forward blocks; four widths by default."""
    if config.get("n_inner") is None:
        return 4 * read(config, "n_embd")
    return read(config, "n_inner")
