"""Qwen2 and Qwen2.5 (Yang et al., 2024, arXiv:2407.10671)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.core.errors import ConfigError
from tfft.core.model_config import refuse_unless
from tfft.models.architecture import ARCHITECTURES
from tfft.models.decoder import (
    Decoder,
    decoder_forms,
    decoder_layer,
    expect_head_size,
    rope_type,
)


@ARCHITECTURES.register("qwen2")
class Qwen2(Decoder):
    """Qwen2 as KerasHub builds it: query, key and value have biases."""

    backbone_class = "QwenBackbone"
    tokenizer_class = "Qwen2Tokenizer"
    one_tokenizer = True
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 151_936,
        "hidden_size": 4096,
        "intermediate_size": 22_016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 32_768,
    }
    forms = decoder_forms("Qwen2", answers_prefix="transformer.")
    per_layer = decoder_layer(bias=True)

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `QwenBackbone`.

        Raises:
            ConfigError: For windows or scaled positions, which transformers computes
                differently.
        """
        if backbone.use_sliding_window_attention or backbone.rope_scaling_factor != 1:
            raise ConfigError(
                "a QwenBackbone with windows or scaled positions",
                expected="a QwenBackbone without them",
                fix="export another model",
            )
        return super().describe(backbone)

    def make(self, config: Mapping[str, Any], sizes: dict[str, Any]) -> Any:
        """Returns a `QwenBackbone`.

        Raises:
            DataError: For windows, head sizes or rotary scalings that it lacks.
        """
        import keras_hub

        refuse_unless(config, "use_sliding_window", (False,))
        expect_head_size(config)
        rope_type(config, ("default",))
        return keras_hub.models.QwenBackbone(
            **sizes, tie_word_embeddings=self.is_tied(config)
        )
