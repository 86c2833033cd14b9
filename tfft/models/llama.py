"""Llama (Touvron et al., 2023, arXiv:2302.13971) and SmolLM2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.core.errors import DataError, shorten
from tfft.core.model_config import refuse_unless
from tfft.models.architecture import ARCHITECTURES
from tfft.models.decoder import (
    Decoder,
    decoder_forms,
    expect_head_size,
    rope,
    rope_type,
)

# Maps the config's keys to KerasHub's arguments.
_LLAMA3 = {
    "factor": "rope_frequency_adjustment_factor",
    "low_freq_factor": "rope_low_freq_factor",
    "high_freq_factor": "rope_high_freq_factor",
    "original_max_position_embeddings": "rope_pretraining_sequence_length",
}


@ARCHITECTURES.register("llama")
class Llama(Decoder):
    """Llama as KerasHub builds it."""

    backbone_class = "LlamaBackbone"
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 2048,
    }
    forms = decoder_forms("Llama", answers_prefix="transformer.")

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `LlamaBackbone`."""
        config = super().describe(backbone)
        if backbone.rope_low_freq_factor is None:
            return config
        scaling = {key: getattr(backbone, ours) for key, ours in _LLAMA3.items()}
        return {**config, "rope_scaling": {"rope_type": "llama3", **scaling}}

    def make(self, config: Mapping[str, Any], sizes: dict[str, Any]) -> Any:
        """Returns a `LlamaBackbone`.

        Raises:
            DataError: For biases, head sizes or rotary scalings that it lacks.
        """
        import keras_hub

        refuse_unless(config, "attention_bias", (False,))
        refuse_unless(config, "mlp_bias", (False,))
        expect_head_size(config)
        scaling = {}
        if rope_type(config, ("default", "llama3")) == "llama3":
            scaling = {ours: _number(config, key) for key, ours in _LLAMA3.items()}
        return keras_hub.models.LlamaBackbone(
            **sizes, **scaling, tie_word_embeddings=self.is_tied(config)
        )


def _number(config: Mapping[str, Any], key: str) -> float:
    value = rope(config).get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise DataError(
            f"{key}={shorten(value)} in the rotary settings",
            where="config.json",
            expected="a number above 0",
            fix="download the model again",
        )
    return float(value)
