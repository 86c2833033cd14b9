"""Mistral (Jiang et al., 2023, arXiv:2310.06825)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfft.core.model_config import MOST_LAYERS, read, refuse_unless
from tfft.models.architecture import ARCHITECTURES
from tfft.models.decoder import Decoder, decoder_forms, rope_type

_MOST_HEAD_SIZE = 1024


@ARCHITECTURES.register("mistral")
class Mistral(Decoder):
    """Mistral as KerasHub builds it: a token sees only a window of earlier tokens."""

    backbone_class = "MistralBackbone"
    one_tokenizer = True
    defaults: ClassVar[Mapping[str, int]] = {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131_072,
    }
    forms = decoder_forms("Mistral")

    def describe(self, backbone: Any) -> dict[str, Any]:
        """Returns the config of a `MistralBackbone`."""
        config = super().describe(backbone)
        return {**config, "sliding_window": backbone.sliding_window}

    def least_size(self, config: Mapping[str, Any]) -> int:
        """Returns the number of weights in the matrices, without keys and values.

        Heads may be narrower or wider than the width divided by their number.
        """
        if config.get("head_dim") is None:
            return super().least_size(config)
        width = read(config, "hidden_size")
        heads = read(config, "num_attention_heads")
        queries = heads * read(config, "head_dim", _MOST_HEAD_SIZE)
        layers = read(config, "num_hidden_layers", MOST_LAYERS)
        return super().least_size(config) + 2 * layers * width * (queries - width)

    def make(self, config: Mapping[str, Any], sizes: dict[str, Any]) -> Any:
        """Returns a `MistralBackbone`.

        Raises:
            DataError: For a tied head or a rotary scaling, which it lacks.
        """
        import keras_hub

        refuse_unless(config, "tie_word_embeddings", (False,))
        rope_type(config, ("default",))
        window = config.get("sliding_window", 4096)
        if window is not None:
            window = read({"sliding_window": window}, "sliding_window")
        head = {}
        if config.get("head_dim") is not None:
            head = {"head_dim": read(config, "head_dim", _MOST_HEAD_SIZE)}
        return keras_hub.models.MistralBackbone(**sizes, **head, sliding_window=window)
