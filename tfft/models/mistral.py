"""Mistral (Jiang et al., 2023, arXiv:2310.06825)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfft.models.architecture import ARCHITECTURES
from tfft.models.configuration import read, refuse_unless
from tfft.models.decoder import Decoder, rope_type


@ARCHITECTURES.register("mistral")
class Mistral(Decoder):
    """Mistral as KerasHub builds it: a token sees a window of those before it."""

    backbone_class = "MistralBackbone"

    def make(self, config: Mapping[str, Any], sizes: dict[str, Any]) -> Any:
        """Returns a `MistralBackbone`.

        Raises:
            DataError: For a tied head or a rotary scaling, which it does not have.
        """
        import keras_hub

        refuse_unless(config, "tie_word_embeddings", (False,))
        rope_type(config, ("default",))
        window = {"sliding_window": None}
        if config.get("sliding_window", 4096) is not None:
            settings = {"sliding_window": 4096, **config}
            window = {"sliding_window": read(settings, "sliding_window")}
        head = {}
        if config.get("head_dim") is not None:
            head = {"head_dim": read(config, "head_dim")}
        return keras_hub.models.MistralBackbone(**sizes, **window, **head)
